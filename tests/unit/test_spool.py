"""What a keeper writes is what a reader gets: bytes, order, streams, gaps of exact size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.keeper.spool import STDERR, STDOUT, TAIL_BYTES, Spool
from worker.output import Output

NAMES = {STDOUT: "stdout", STDERR: "stderr"}
GAP = re.compile(rb"\n\[job_item: (\d+) bytes of output are missing here: ([a-z ]+)\]\n")

chunks = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=300)), max_size=30)


def write(path: Path, parts: list[tuple[int, bytes]], limit: int, *, rotate: bool = False) -> Spool:
    spool = Spool(str(path), limit, rotate=rotate)
    for stream, chunk in parts:
        spool.write(stream, memoryview(chunk))
    spool.close()
    return spool


def stream_of(output: Output, name: str) -> bytes:
    runs = output.runs(0, output.size())
    return b"".join(output.read(start, stop - start) for start, stop, stream in runs if stream == name)


@given(parts=chunks)
def test_both_streams_come_back_whole_and_apart(
    parts: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("spool") / "out"
    write(path, parts, 1 << 20)
    output = Output(path)
    assert output.read(0, 1 << 20) == b"".join(chunk for _, chunk in parts)
    for stream, name in NAMES.items():
        assert stream_of(output, name) == b"".join(chunk for number, chunk in parts if number == stream)


@given(parts=chunks, limit=st.integers(0, 2000))
def test_over_the_limit_the_gap_is_marked_with_its_exact_size(
    parts: list[tuple[int, bytes]], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("spool") / "out"
    spool = write(path, parts, limit)
    everything = b"".join(chunk for _, chunk in parts)
    kept = Output(path).read(0, 1 << 20)
    if len(everything) <= limit - min(TAIL_BYTES, limit // 4):
        assert (kept, spool.dropped) == (everything, 0)
        return
    pieces = GAP.split(kept)
    if len(pieces) == 1:  # all that was over the beginning's share is still within the limit
        assert (kept, spool.dropped) == (everything, 0)
        return
    head, count, why, tail = pieces
    assert int(count) == spool.dropped == len(everything) - len(head) - len(tail)
    assert why == b"over the output limit"
    assert everything.startswith(head)
    assert everything.endswith(tail)
    assert len(head) + len(tail) <= limit


def test_a_part_of_the_output_can_be_asked_for_with_its_streams(tmp_path: Path) -> None:
    write(tmp_path / "out", [(STDOUT, b"aaaa"), (STDERR, b"bb"), (STDOUT, b"cccc")], 1 << 20)
    output = Output(tmp_path / "out")
    assert output.runs(2, 8) == [(2, 4, "stdout"), (4, 6, "stderr"), (6, 8, "stdout")]
    assert output.runs(4, 5) == [(4, 5, "stderr")]
    assert output.runs(5, 5) == []


def test_no_output_needs_no_file(tmp_path: Path) -> None:
    write(tmp_path / "out", [], 1 << 20)
    output = Output(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert (output.size(), output.read(0, 10), output.runs(0, 0)) == (0, b"", [])


def test_a_rotated_spool_keeps_one_older_file_and_is_bounded(tmp_path: Path) -> None:
    write(tmp_path / "out", [(STDOUT, b"x" * 100)] * 50, 1000, rotate=True)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"out", "out.1"}
    assert max(sizes.values()) <= 1100


def test_a_full_disk_never_stops_the_writer_and_its_gap_is_counted() -> None:
    spool = Spool("/dev/full", 1 << 20)
    for _ in range(3):
        spool.write(STDOUT, memoryview(b"x" * 1000))
    spool.close()
    assert (spool.size, spool.dropped, spool.bytes_of[STDOUT]) == (0, 3000, 3000)
