"""Standard output as messages: nothing is lost or doubled, characters stay whole, limits are kept."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_item.errors import Unavailable
from job_item.keeper.spool import STDERR, STDOUT
from tests.desks import MemoryLog
from worker.output import Output
from worker.reporters.stdout import Stdout, send_all

WRITES = st.lists(
    st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(alphabet="aé€😀\n", max_size=12).map(str.encode)),
    max_size=12,
)


def send(stdout: Stdout, stop: int, limit: int, *, to_end: bool) -> list[bytes]:
    sent: list[bytes] = []

    async def publish(data: bytes) -> None:
        sent.append(data)

    asyncio.run(send_all(stdout, stop, publish, limit, to_end=to_end))
    return sent


@settings(max_examples=200)
@given(writes=WRITES, limit=st.integers(4, 40), seed=st.integers(0, 99))
def test_what_is_sent_is_standard_output_in_whole_characters(
    writes: list[tuple[str, bytes]], limit: int, seed: int
) -> None:
    log, chance, sent = MemoryLog(runs_at_once=3), random.Random(seed), []
    stdout = Stdout(log)
    for stream, data in writes:
        cut = chance.randint(0, len(data))
        for piece in (data[:cut], data[cut:]):
            if piece:
                log.write(stream, piece)
            sent += send(stdout, log.size(), limit, to_end=False)
    sent += send(stdout, log.size(), limit, to_end=True)
    assert b"".join(sent) == b"".join(data for stream, data in writes if stream == "stdout")
    assert all(0 < len(data) <= limit for data in sent)
    if all(stream == "stdout" for stream, _ in writes):
        for data in sent:
            data.decode()


def test_what_could_not_be_sent_is_sent_again_from_where_it_failed() -> None:
    log = MemoryLog()
    log.write("stdout", b"0123456789")
    stdout, sent = Stdout(log), list[bytes]()

    async def publish(data: bytes) -> None:
        if len(sent) == 1:
            raise Unavailable("ERR-BRK-002", "gone")
        sent.append(data)

    with pytest.raises(Unavailable):
        asyncio.run(send_all(stdout, 10, publish, 4, to_end=True))
    assert sent == [b"0123"]
    assert send(stdout, 10, 4, to_end=True) == [b"4567", b"89"]


def test_the_end_of_one_stream_is_found(tmp_path: Path) -> None:
    path = tmp_path / "T1.1.log"
    path.write_bytes(b"out1err1out2err2")
    records = [(0, STDOUT), (4, STDERR), (8, STDOUT), (12, STDERR)]
    Path(f"{path}.idx").write_bytes(b"".join(at.to_bytes(8, "big") + bytes([kind]) for at, kind in records))
    output = Output(path)
    assert output.tail("stdout", 100) == b"out1out2"
    assert output.tail("stderr", 100) == b"err1err2"
    assert output.tail("stderr", 6) == b"r1err2"
    assert output.tail("stderr", 3) == b"rr2"
    assert Output(tmp_path / "none").tail("stderr", 10) == b""
