"""What a keeper writes is what a reader gets: bytes, order, streams, gaps of exact size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.keeper.rolling import RollingSpool
from job_item.keeper.spool import RECORD_BYTES, STDERR, STDOUT, TAIL_BYTES, Spool
from worker.output import RUNS_AT_ONCE, Output

NAMES = {STDOUT: "stdout", STDERR: "stderr"}
GAP = re.compile(rb"\n\[job_item: (\d+) bytes of output are missing here: ([a-z ]+)\]\n")

chunks = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=300)), max_size=30)


def write(path: Path, parts: list[tuple[int, bytes]], limit: int, *, older: int | None = None) -> Spool:
    spool = Spool(str(path), limit) if older is None else RollingSpool(str(path), limit, older)
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
    changes = sum(1 for before, (stream, _) in zip([(STDOUT, b""), *parts], parts, strict=False) if before[0] != stream)
    if len(everything) + RECORD_BYTES * changes <= limit - min(TAIL_BYTES, limit // 4):
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


def test_however_often_the_streams_alternate_each_call_tells_only_some_runs(tmp_path: Path) -> None:
    size = 3 * RUNS_AT_ONCE + 7
    write(tmp_path / "out", [(STDOUT if place % 2 else STDERR, b"x") for place in range(size)], 1 << 20)
    output = Output(tmp_path / "out")
    told: list[tuple[int, int, str]] = []
    calls = 0
    while not told or told[-1][1] < size:
        runs = output.runs(told[-1][1] if told else 0, size)
        assert 0 < len(runs) <= RUNS_AT_ONCE
        told += runs
        calls += 1
    assert calls == 4
    assert told == [(place, place + 1, "stdout" if place % 2 else "stderr") for place in range(size)]


@given(parts=chunks, start=st.integers(0, 3000), length=st.integers(0, 3000))
def test_the_runs_of_a_part_are_those_of_the_whole_cut_to_size(
    parts: list[tuple[int, bytes]], start: int, length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("spool") / "out"
    write(path, parts, 1 << 20)
    output = Output(path)
    stop = min(start + length, output.size())
    cut = ((max(a, start), min(b, stop), stream) for a, b, stream in output.runs(0, output.size()))
    assert output.runs(start, stop) == [run for run in cut if run[0] < run[1]]


@given(index=st.binary(max_size=100), start=st.integers(0, 50), length=st.integers(1, 50))
def test_a_damaged_index_never_keeps_a_reader_from_going_on(
    index: bytes, start: int, length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("spool") / "out"
    Path(f"{path}.idx").write_bytes(index)
    assert all(start <= a < b <= start + length for a, b, _ in Output(path).runs(start, start + length))


def test_no_output_needs_no_file(tmp_path: Path) -> None:
    write(tmp_path / "out", [], 1 << 20)
    output = Output(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert (output.size(), output.read(0, 10), output.runs(0, 0)) == (0, b"", [])


def test_a_rotated_spool_keeps_one_older_file_and_is_bounded(tmp_path: Path) -> None:
    write(tmp_path / "out", [(STDOUT, b"x" * 100)] * 50, 1000, older=1)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"out", "out.1"}
    assert max(sizes.values()) <= 1000


@pytest.mark.parametrize("older", [None, 1])
def test_the_index_counts_as_output_too(older: int | None, tmp_path: Path) -> None:
    write(tmp_path / "out", [(STDOUT if place % 2 else STDERR, b"x") for place in range(10_000)], 4000, older=older)
    data, index = (tmp_path / "out").stat().st_size, (tmp_path / "out.idx").stat().st_size
    assert data + index <= 4000 + 100  # the line that marks the gap


def test_a_rotated_spool_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    runs = [[(STDERR, b"one")], [(STDERR, b"two"), (STDOUT, b"three")], [(STDOUT, b"four")]]
    for parts in runs:
        write(tmp_path / "out", parts, 1000, older=1)
    output = Output(tmp_path / "out")
    assert output.read(0, 100) == b"onetwothreefour"
    assert stream_of(output, "stderr") == b"onetwo"
    assert stream_of(output, "stdout") == b"threefour"


def test_a_file_that_cannot_be_moved_aside_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "out.1" / "full").mkdir(parents=True)
    spool = write(tmp_path / "out", [(STDOUT, b"x" * 600)] * 4, 1000, older=1)
    assert spool.dropped == 0
    assert (tmp_path / "out").stat().st_size <= 1200


def test_all_folders_that_a_spool_makes_are_private(tmp_path: Path) -> None:
    write(tmp_path / "state" / "logs" / "ab" / "out", [(STDOUT, b"x")], 1000)
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(made) == 3
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in made)


def test_a_full_disk_never_stops_the_writer_and_its_gap_is_counted() -> None:
    spool = Spool("/dev/full", 1 << 20)
    for _ in range(3):
        spool.write(STDOUT, memoryview(b"x" * 1000))
    spool.close()
    assert (spool.size, spool.dropped, spool.refused, spool.bytes_of[STDOUT]) == (0, 3000, 3000, 3000)


@given(parts=chunks, limit=st.integers(10, 2000), older=st.integers(0, 3))
def test_rolling_files_keep_their_bounds_and_together_the_end_of_the_output(
    parts: list[tuple[int, bytes]], limit: int, older: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = write(folder / "out", parts, limit, older=older)
    everything = b"".join(chunk for _, chunk in parts)
    names = [folder / (f"out.{number}" if number else "out") for number in range(older, -1, -1)]
    assert {path for path in folder.iterdir() if path.suffix != ".idx"} <= set(names)
    kept = [path.read_bytes() for path in names if path.exists()]
    assert everything.endswith(b"".join(kept))
    assert spool.dropped == 0
    for path in names:
        index = Path(f"{path}.idx")
        if path.exists():
            assert path.stat().st_size + (index.stat().st_size if index.exists() else 0) <= max(limit, RECORD_BYTES + 1)


def test_a_new_file_begins_with_a_whole_line(tmp_path: Path) -> None:
    lines = [f"line {number} of some\n".encode() for number in range(100)]
    text = b"".join(lines)
    parts = [(STDOUT, text[place : place + 70]) for place in range(0, len(text), 70)]
    write(tmp_path / "out", [(STDOUT, line) for line in lines], 200, older=2)
    for name in ("out", "out.1", "out.2"):
        assert (tmp_path / name).read_bytes().startswith(b"line ")
        assert (tmp_path / name).read_bytes().endswith(b"\n")
    write(tmp_path / "torn", parts, 200, older=1)
    assert text.endswith((tmp_path / "torn.1").read_bytes() + (tmp_path / "torn").read_bytes())


def test_other_bounds_hold_at_the_next_full_file_and_older_files_beyond_them_go(tmp_path: Path) -> None:
    spool = RollingSpool(str(tmp_path / "out"), 100, 3)
    for _ in range(10):
        spool.write(STDOUT, memoryview(b"x" * 99 + b"\n"))
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.1", "out.2", "out.3"}
    spool.bound(50, 0)
    spool.write(STDOUT, memoryview(b"y" * 10))
    spool.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"out": b"y" * 10}


def test_a_spool_without_a_file_keeps_nothing() -> None:
    nothing = Spool("", 0)
    nothing.write(STDERR, memoryview(b"abc"))
    nothing.close()
    assert (nothing.size, nothing.dropped, nothing.bytes_of[STDERR]) == (0, 3, 3)
