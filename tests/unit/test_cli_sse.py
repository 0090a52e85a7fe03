from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.sse import Event, EventParser


def parse(*chunks: bytes) -> list[Event]:
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: hello\n\n", [Event("message", "hello", "")]),
        (b"event: output\nid: 7\ndata: a\ndata: b\n\n", [Event("output", "a\nb", "7")]),
        (b"data:no space\n\n", [Event("message", "no space", "")]),
        (b"data:  two spaces\n\n", [Event("message", " two spaces", "")]),
        (b"data\n\n", [Event("message", "", "")]),
        (b": a comment\n\n", []),
        (b"event: lonely\n\n", []),
        (b"event: dropped\n\ndata: x\n\n", [Event("message", "x", "")]),
        (b"data: unfinished\n", []),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [Event("message", "a", "1"), Event("message", "b", "1")]),
        (b"id: 1\n\ndata: b\n\n", [Event("message", "b", "1")]),
        (b"id: 1\x00\ndata: b\n\n", [Event("message", "b", "")]),
        (b"retry: 10\nunknown: x\ndata: a\n\n", [Event("message", "a", "")]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Event("message", text, "") for text in "abc"]),
        ("\ufeffdata: ä\n\n".encode(), [Event("message", "ä", "")]),
        (b"data: \xff\n\n", [Event("message", "\ufffd", "")]),
    ],
)
def test_streams_are_read_as_the_standard_says(stream: bytes, events: list[Event]) -> None:
    assert parse(stream) == events


FIELDS = st.sampled_from([b"data: x", b"data", b"event: e", b"id: 1", b": c", b"", "data: é€".encode()])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(FIELDS, ENDS)), st.lists(st.integers(min_value=0, max_value=200)))
def test_where_the_stream_is_cut_does_not_matter(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(field + end for field, end in lines)
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    chunks = [stream[start:stop] for start, stop in pairwise(places)]
    assert parse(*chunks) == parse(stream) == parse(*(bytes([byte]) for byte in stream), b"")
