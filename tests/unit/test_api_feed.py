"""A job's life as events: nothing lost, nothing twice, characters whole."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.job import Status, Usage
from tests.desks import MemoryDesk
from worker.api import feed as feed_module
from worker.api.excerpt import Stream
from worker.api.feed import Feed, Position, Tape, parse_position
from worker.characters import whole_characters
from worker.desk import NewJob

Event = tuple[str, dict[str, Any], str]


def parse(stream: bytes) -> list[Event]:
    """Take events apart: name, data, id."""
    events = []
    for block in stream.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            events.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return events


def content(data: dict[str, Any]) -> bytes:
    return data["text"].encode() if "text" in data else base64.b64decode(data["base64"])


def desk_with_job() -> MemoryDesk:
    desk = MemoryDesk()
    asyncio.run(desk.create(NewJob("hello", {}, task_id="T1")))
    return desk


def follow(desk: MemoryDesk, *, stream: Stream = "both", at: Position | None = None, only: bool = False) -> Feed:
    return Feed(desk, "T1", at or Position(1, 0), stream, only_attempt=only)


def read_all(feed: Feed) -> list[Event]:
    return parse(b"".join(piece or b"" for piece in feed.pieces()))


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", 0),
        (b"abc", 3),
        ("é".encode(), 2),
        ("é".encode()[:1], 0),
        ("a€".encode()[:2], 1),
        ("a€".encode()[:3], 1),
        ("😀".encode()[:3], 0),
        ("😀".encode(), 4),
        (b"\x80\x80\x80\x80", 4),
        (b"\xff", 1),
        (b"a\xc3\xa9\x80", 4),
    ],
)
def test_a_character_that_is_cut_off_is_seen(data: bytes, whole: int) -> None:
    assert whole_characters(data) == whole


@given(st.text(max_size=20), st.integers(0, 80))
def test_whole_characters_decode(text: str, size: int) -> None:
    part = text.encode()[:size]
    kept = part[: whole_characters(part)]
    assert text.startswith(kept.decode())
    assert len(part) - len(kept) < 4


@pytest.mark.parametrize(
    ("text", "attempt", "position"),
    [
        ("0", 1, Position(1, 0)),
        ("17", 1, Position(1, 17)),
        ("17", 3, Position(3, 17)),
        ("2:17", 1, Position(2, 17)),
        ("", 1, None),
        ("x", 1, None),
        ("-1", 1, None),
        ("0:1", 1, None),
        ("1" * 30, 1, None),
        ("²", 1, None),
    ],
)
def test_a_position_is_read_back(text: str, attempt: int, position: Position | None) -> None:
    assert parse_position(text, attempt) == position


@given(st.integers(1, 999), st.integers(0, 10**15))
def test_a_position_survives_the_wire(attempt: int, offset: int) -> None:
    assert parse_position(str(Position(attempt, offset)), 1) == Position(attempt, offset)


def test_a_job_is_told_from_queue_to_end() -> None:
    desk = desk_with_job()
    pieces = follow(desk).pieces()
    heard = []

    def listen() -> None:
        for piece in pieces:
            if piece is None:
                return
            heard.extend(parse(piece))

    listen()
    desk.begin("T1")
    listen()
    desk.write("T1", b"one\n")
    asyncio.run(desk.notify("T1", "half"))
    listen()
    desk.write("T1", b"two\n", "stderr")
    desk.end("T1", Status.ERROR, exit_code=3)
    listen()
    names = [name for name, _, _ in heard]
    assert names == ["status", "status", "note", "output", "output", "status", "end"]
    assert heard[3] == ("output", {"attempt": 1, "offset": 0, "stream": "stdout", "text": "one\n"}, "4")
    assert heard[4] == ("output", {"attempt": 1, "offset": 4, "stream": "stderr", "text": "two\n"}, "8")
    assert [data["status"] for name, data, _ in heard if name == "status"] == ["queued", "running", "error"]
    end = heard[-1][1]
    assert (end["status"], end["exit_code"], end["attempt"]) == ("error", 3, 1)
    assert end["error"]["code"] == "ERR-RUN-001"
    assert end["error"]["remedy"]


def test_a_character_is_never_split_between_events() -> None:
    desk = desk_with_job()
    desk.begin("T1")
    tape = Tape(Position(1, 0), "both")
    desk.write("T1", "a€".encode()[:3])
    log = desk.log("T1")
    assert log is not None
    assert parse(tape.advance(log, 3)) == [
        ("output", {"attempt": 1, "offset": 0, "stream": "stdout", "text": "a"}, "1")
    ]
    desk.write("T1", "a€".encode()[3:] + b"b")
    assert parse(tape.advance(log, 5)) == [
        ("output", {"attempt": 1, "offset": 1, "stream": "stdout", "text": "€b"}, "5")
    ]


def test_a_character_that_never_ends_is_sent_as_bytes() -> None:
    desk = desk_with_job()
    desk.begin("T1")
    desk.write("T1", b"a\xe2\x82")
    desk.end("T1", Status.FINISH, exit_code=0)
    output = [data for name, data, _ in read_all(follow(desk)) if name == "output"]
    assert [content(data) for data in output] == [b"a", b"\xe2\x82"]
    assert "base64" in output[1]


def test_the_order_of_arrival_wins_where_the_other_stream_cuts_into_a_character() -> None:
    desk = desk_with_job()
    desk.begin("T1")
    desk.write("T1", b"\xe2\x82")
    desk.write("T1", b"!", "stderr")
    desk.write("T1", b"\xac")
    desk.end("T1", Status.FINISH, exit_code=0)
    events = [
        (data["stream"], content(data), place) for name, data, place in read_all(follow(desk)) if name == "output"
    ]
    assert events == [("stdout", b"\xe2\x82", "2"), ("stderr", b"!", "3"), ("stdout", b"\xac", "4")]
    alone = [data for name, data, _ in read_all(follow(desk, stream="stdout")) if name == "output"]
    assert [data["text"] for data in alone] == ["€"]


WRITES = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]), st.one_of(st.binary(max_size=6), st.text(max_size=4).map(str.encode))
    ),
    max_size=10,
)


@given(
    writes=WRITES,
    stream=st.sampled_from(["both", "stdout", "stderr"]),
    chunk=st.integers(1, 7),
    once=st.integers(1, 3),
    data=st.data(),
)
def test_whoever_comes_back_with_the_last_id_misses_nothing_and_gets_nothing_twice(
    writes: list[tuple[str, bytes]], stream: Stream, chunk: int, once: int, data: st.DataObject
) -> None:
    desk = desk_with_job()
    desk.begin("T1")
    log = desk.log("T1")
    assert log is not None
    log.runs_at_once = once
    heard: list[Event] = []
    place = Position(1, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed_module, "CHUNK_BYTES", chunk)
        for source, written in writes:
            desk.write("T1", written, source)
            stop = data.draw(st.integers(0, 9))
            for number, piece in enumerate(follow(desk, stream=stream, at=place).pieces()):
                events = [event for event in parse(piece or b"") if event[0] == "output"]
                heard += events
                if events:
                    place = parse_position(events[-1][2], 1) or place
                if piece is None or number == stop:
                    break
        desk.end("T1", Status.FINISH, exit_code=0)
        heard += [event for event in read_all(follow(desk, stream=stream, at=place)) if event[0] == "output"]
    for source in ("stdout", "stderr"):
        told = b"".join(content(members) for _, members, _ in heard if members["stream"] == source)
        expected = b"".join(written for origin, written in writes if origin == source)
        assert told == (expected if stream in ("both", source) else b"")
    if stream == "both":
        assert b"".join(content(members) for _, members, _ in heard) == b"".join(written for _, written in writes)


def test_the_next_attempt_follows_with_positions_of_its_own() -> None:
    desk = desk_with_job()
    desk.begin("T1")
    desk.write("T1", b"first")
    desk.end("T1", Status.QUEUED)
    desk.begin("T1")
    desk.write("T1", b"second")
    desk.end("T1", Status.FINISH, exit_code=0)
    output = [
        (data["attempt"], content(data), place) for name, data, place in read_all(follow(desk)) if name == "output"
    ]
    assert output == [(1, b"first", "5"), (2, b"second", "2:6")]
    resumed = read_all(follow(desk, at=Position(2, 3)))
    assert [content(data) for name, data, _ in resumed if name == "output"] == [b"ond"]
    alone = read_all(follow(desk, only=True))
    assert [content(data) for name, data, _ in alone if name == "output"] == [b"first"]
    assert alone[-1][1]["status"] == "error"


def test_output_beyond_the_limit_is_told_as_a_gap() -> None:
    desk = desk_with_job()
    desk.begin("T1")
    desk.write("T1", b"abc")
    desk.end("T1", Status.FINISH, exit_code=0, usage=Usage(dropped_bytes=77))
    gaps = [data for name, data, _ in read_all(follow(desk)) if name == "gap"]
    assert gaps == [{"attempt": 1, "offset": 3, "bytes": 77}]


def test_notes_come_once_and_in_order() -> None:
    desk = desk_with_job()
    for text in ("a", "b\nc", "\u2028"):
        asyncio.run(desk.notify("T1", text))
    asyncio.run(desk.cancel("T1"))
    notes = [data for name, data, _ in read_all(follow(desk)) if name == "note"]
    assert [(note["number"], note["msg"]) for note in notes] == [(1, "a"), (2, "b\nc"), (3, "\u2028")]


def test_a_job_that_vanishes_ends_its_feed() -> None:
    desk = MemoryDesk()
    assert read_all(follow(desk)) == []
