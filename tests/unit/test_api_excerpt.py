"""Ranges of a job's output: the arithmetic."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.desks import MemoryLog
from worker.api.excerpt import Excerpt, Span, Stream, choose, cut
from worker.api.faults import Refusal


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("", None),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=90-", Span(90, 100)),
        ("bytes=90-1000", Span(90, 100)),
        ("bytes=-10", Span(90, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("Bytes = 5-5", Span(5, 6)),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_the_range_header_chooses_one_part_or_all(header: str | None, span: Span | None) -> None:
    assert choose(header, 100) == span


@pytest.mark.parametrize(
    ("header", "total"), [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_a_range_outside_is_refused_with_the_size(header: str, total: int) -> None:
    with pytest.raises(Refusal) as caught:
        choose(header, total)
    assert caught.value.status == 416
    assert caught.value.headers["content-range"] == f"bytes */{total}"


@pytest.mark.parametrize(
    ("offset", "limit", "tail", "span"),
    [
        (None, None, None, Span(0, 100)),
        (10, None, None, Span(10, 100)),
        (10, 5, None, Span(10, 15)),
        (95, 10, None, Span(95, 100)),
        (200, 10, None, Span(100, 100)),
        (None, None, 7, Span(93, 100)),
        (None, 3, 7, Span(0, 3)),
        (10, 20, 5, Span(25, 30)),
        (98, None, 5, Span(98, 100)),
        (None, None, 700, Span(0, 100)),
        (None, 0, None, Span(0, 0)),
    ],
)
def test_a_part_by_numbers_never_leaves_the_output(
    offset: int | None, limit: int | None, tail: int | None, span: Span
) -> None:
    assert cut(100, offset, limit, tail) == span


def measured(log: MemoryLog | None, stream: Stream) -> Excerpt:
    excerpt = Excerpt(log, stream)
    asyncio.run(excerpt.measure())
    return excerpt


@given(
    writes=st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(min_size=1, max_size=9)), max_size=12),
    offset=st.integers(0, 120),
    limit=st.integers(1, 20),
    stream=st.sampled_from(["both", "stdout", "stderr"]),
    runs_at_once=st.integers(1, 4),
)
def test_an_excerpt_reads_the_bytes_of_its_stream(
    writes: list[tuple[str, bytes]], offset: int, limit: int, stream: Stream, runs_at_once: int
) -> None:
    log = MemoryLog(runs_at_once=runs_at_once)
    for source, data in writes:
        log.write(source, data)
    expected = b"".join(data for source, data in writes if stream in ("both", source))
    excerpt = measured(log, stream)
    assert excerpt.size == len(expected)
    read = excerpt.read(offset, limit)
    assert len(read) <= limit
    assert expected[offset : offset + len(read)] == read
    assert bool(read) == (offset < len(expected))


def test_a_job_without_output_has_an_empty_excerpt() -> None:
    assert measured(None, "both").size == 0
    assert measured(None, "stderr").read(0, 10) == b""


def test_an_excerpt_of_a_log_that_was_removed_since_is_cut_off() -> None:
    log = MemoryLog()
    log.write("stderr", b"abc")
    excerpt = measured(log, "stderr")
    log.pieces = [(0, 3, "stdout")]  # no index means that all of it is standard output
    assert excerpt.read(0, 10) == b""
