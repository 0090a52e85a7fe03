"""The log of a job that changes its stream at every byte: reading it never keeps the node from its work."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from job_item.job import Status
from job_item.keeper.spool import RECORD_BYTES, STDERR, STDOUT
from tests.desks import MemoryDesk, Served, serve
from worker.output import Output

SIZE = 3_000_000
LONGEST_S = 0.1
"""Of one turn of the loop, in CPU time: other work on the machine does not count. All at once takes seconds."""


class SpoolDesk(MemoryDesk):
    """A desk whose job has written to a spool."""

    spool: Output

    def log(self, task_id: str, attempt: int | None = None) -> Output:  # type: ignore[override]
        return self.spool


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("spool") / "out"
    path.write_bytes(b"oe" * (SIZE // 2))
    Path(f"{path}.idx").write_bytes(index_of_alternating(SIZE))
    desk = SpoolDesk()
    desk.spool = Output(path)
    with serve(desk) as served:
        served.create("T1")
        served.do(desk.begin, "T1")
        served.do(desk.end, "T1", Status.FINISH, exit_code=0)
        yield served


def index_of_alternating(size: int) -> bytes:
    """The index of so many bytes, one to standard output, one to standard error; made a column at a time."""
    index = bytearray(size * RECORD_BYTES)
    for column in range(8):
        step = 256 ** (7 - column)
        cycle = b"".join(bytes((value,)) * min(step, size) for value in range(min(256, size // step + 1)))
        index[column::RECORD_BYTES] = (cycle * (size // len(cycle) + 1))[:size]
    index[8::RECORD_BYTES] = bytes((STDOUT, STDERR)) * (size // 2)
    return bytes(index)


class Turns:
    """The longest turn of a loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            self.longest_s = max(self.longest_s, time.thread_time() - began)


@contextmanager
def no_long_turn(served: Served) -> Iterator[None]:
    """Fail when the loop does not get round in time within the block."""
    turns = Turns()
    gc.disable()  # a collection takes as long as all tests of this process have made objects
    watching = asyncio.run_coroutine_threadsafe(turns.watch(), served._loop)
    try:
        yield
    finally:
        watching.cancel()
        gc.enable()
    assert turns.longest_s < LONGEST_S


@pytest.mark.parametrize(
    ("query", "wanted", "size"),
    [
        ("", None, SIZE),
        ("?stream=stderr", None, SIZE // 2),
        ("?tail=100000", None, 100_000),
        ("", "bytes=1500000-1600000", 100_001),
        ("?stream=stdout", "bytes=700000-799999", 100_000),
    ],
)
def test_its_bytes_are_sent_in_short_turns(served: Served, query: str, wanted: str | None, size: int) -> None:
    with no_long_turn(served):
        reply = served.ask("GET", f"/jobs/T1/log{query}", headers={"range": wanted} if wanted else {})
    assert len(reply.body) == size
    assert reply.body.count(b"e" if "stderr" in query else b"o") >= size // 2


@pytest.mark.parametrize("query", ["", "&stream=stderr", f"&offset={SIZE - 1000}"])
def test_it_is_followed_in_short_turns(served: Served, query: str) -> None:
    with no_long_turn(served):
        connection = served.connect()
        connection.request("GET", f"/jobs/T1/log?follow=1{query}")
        events = connection.getresponse().read(2_000_000)
        connection.close()
    assert events.count(b"event: output") >= 500


def test_the_node_answers_others_while_it_is_read(served: Served) -> None:
    for _ in range(20):  # whoever asks may get no processor during one reading
        if answers_during_a_reading(served) >= 10:
            return
    raise AssertionError("nobody is answered")


def answers_during_a_reading(served: Served) -> int:
    """How often somebody else was answered."""
    reader = Thread(target=served.ask, args=("GET", "/jobs/T1/log?stream=stderr&limit=1000"))
    reader.start()
    asked = 0
    while reader.is_alive():
        assert served.ask("GET", "/healthz").status == 200
        asked += 1
    reader.join()
    return asked
