"""The output of a job over HTTP: bytes, ranges, live events."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from job_item.job import Status
from tests.conftest import eventually
from tests.desks import Served, serve
from tests.listening import Listener, content
from worker.api import follow

OUTPUT = b"out-1\n\x00\xff\r50%\rerr-1\nout-2\n"


@pytest.fixture
def served() -> Iterator[Served]:
    with serve() as served:
        served.create("T1")
        yield served


@pytest.fixture
def written(served: Served) -> Served:
    served.do(served.desk.begin, "T1")
    for data, stream in ((OUTPUT[:13], "stdout"), (OUTPUT[13:19], "stderr"), (OUTPUT[19:], "stdout")):
        served.do(served.desk.write, "T1", data, stream)
    return served


def listen(served: Served, query: str = "", last_event_id: str | None = None) -> Listener:
    """Follow the job."""
    return Listener(served, f"/jobs/T1/log?follow=1{query}", last_event_id)


def test_the_bytes_of_both_streams_come_as_they_arrived(written: Served) -> None:
    reply = written.ask("GET", "/jobs/T1/log")
    assert (reply.status, reply.body) == (200, OUTPUT)
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["x-job-item-attempt"] == "1"
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("stream=both", OUTPUT),
        ("stream=stdout", OUTPUT[:13] + OUTPUT[19:]),
        ("stream=stderr", OUTPUT[13:19]),
        ("offset=6", OUTPUT[6:]),
        ("offset=6&limit=3", OUTPUT[6:9]),
        ("tail=6", OUTPUT[-6:]),
        ("tail=7&stream=stdout", OUTPUT[12:13] + OUTPUT[19:]),
        ("offset=1000", b""),
        ("attempt=1", OUTPUT),
    ],
)
def test_a_part_is_chosen_by_the_query(written: Served, query: str, body: bytes) -> None:
    reply = written.ask("GET", f"/jobs/T1/log?{query}")
    assert (reply.status, reply.body) == (200, body)


def test_a_part_is_chosen_by_a_range(written: Served) -> None:
    reply = written.ask("GET", "/jobs/T1/log", headers={"range": "bytes=6-9"})
    assert (reply.status, reply.body) == (206, OUTPUT[6:10])
    assert reply.headers["content-range"] == f"bytes 6-9/{len(OUTPUT)}"
    both = written.ask("GET", "/jobs/T1/log?stream=stderr&offset=1", headers={"range": "bytes=-2"})
    assert (both.status, both.body) == (206, b"1\n")
    assert both.headers["content-range"] == "bytes 3-4/5"
    outside = written.ask("GET", "/jobs/T1/log", headers={"range": f"bytes={len(OUTPUT)}-"})
    assert (outside.status, outside.json["code"]) == (416, "ERR-API-008")
    assert outside.headers["content-range"] == f"bytes */{len(OUTPUT)}"


def test_the_output_of_a_job_that_waits_is_empty(served: Served) -> None:
    assert served.ask("GET", "/jobs/T1/log").body == b""
    missing = served.ask("GET", "/jobs/T1/log?attempt=1")
    assert (missing.status, missing.json["code"]) == (404, "ERR-API-009")


@pytest.mark.parametrize("query", ["stream=x", "attempt=0", "offset=-1", "limit=x", "tail=1e9", "follow=maybe"])
def test_parameters_that_are_wrong_are_refused(written: Served, query: str) -> None:
    reply = written.ask("GET", f"/jobs/T1/log?{query}")
    assert (reply.status, reply.json["code"]) == (400, "ERR-API-007")


def test_a_large_output_is_sent_whole(served: Served) -> None:
    large = bytes(range(256)) * 40_000
    served.do(served.desk.begin, "T1")
    served.do(served.desk.write, "T1", large)
    assert served.ask("GET", "/jobs/T1/log").body == large


def test_a_job_is_followed_live_from_queue_to_end(served: Served) -> None:
    listener = listen(served)
    assert listener.response.headers["content-type"].startswith("text/event-stream")
    assert listener.until("status") == {"status": "queued", "attempt": 0}
    served.do(served.desk.begin, "T1")
    assert listener.until("status")["status"] == "running"
    served.do(served.desk.write, "T1", b"one\n")
    assert listener.until("output") == {"attempt": 1, "offset": 0, "stream": "stdout", "text": "one\n"}
    assert served.ask("POST", "/msg/notif/T1", {"msg": "half"}).status == 200
    assert listener.until("note")["msg"] == "half"
    served.do(served.desk.write, "T1", b"\xff", "stderr")
    assert content(listener.until("output")) == b"\xff"
    served.do(served.desk.end, "T1", Status.FINISH, exit_code=0)
    end = listener.until("end")
    assert (end["status"], end["exit_code"]) == ("finish", 0)
    assert listener.next() is None
    listener.close()


def test_a_follower_that_comes_back_misses_nothing(served: Served) -> None:
    served.do(served.desk.begin, "T1")
    served.do(served.desk.write, "T1", "a€".encode()[:2])
    listener = listen(served)
    assert content(listener.until("output")) == b"a"
    listener.close()
    served.do(served.desk.write, "T1", "a€".encode()[2:])
    served.do(served.desk.end, "T1", Status.FINISH, exit_code=0)
    again = listen(served, last_event_id=listener.last_id)
    assert listener.last_id == "1"
    assert again.until("output")["text"] == "€"
    assert again.until("end")["status"] == "finish"
    again.close()
    wrong = served.ask("GET", "/jobs/T1/log?follow=1", headers={"last-event-id": "x"})
    assert wrong.status == 400
    other = served.ask("GET", "/jobs/T1/log?follow=1&attempt=1", headers={"last-event-id": "2:5"})
    assert other.status == 400


def test_following_starts_where_the_query_says(written: Served) -> None:
    tail = listen(written, "&tail=6")
    assert content(tail.until("output")) == OUTPUT[-6:]
    tail.close()
    offset = listen(written, "&offset=13&stream=stderr")
    assert content(offset.until("output")) == OUTPUT[13:19]
    offset.close()


def test_a_silent_stream_shows_that_it_lives(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "HEARTBEAT_S", 0.05)
    listener = listen(served)
    listener.until("status")
    lines = [listener.response.readline() for _ in range(5)]
    assert lines.count(b":\n") >= 2
    listener.close()


def test_a_follower_that_leaves_is_forgotten(served: Served) -> None:
    listener = listen(served)
    listener.until("status")
    assert served.do(lambda: len(served.desk.watches["T1"])) == 1
    listener.close()
    eventually(lambda: served.do(lambda: not served.desk.watches["T1"]))


def test_a_slow_follower_keeps_nobody_waiting_and_gets_everything(served: Served) -> None:
    large = b"x" * (8 << 20)
    served.do(served.desk.begin, "T1")
    slow = listen(served)
    slow.until("status")
    served.do(served.desk.write, "T1", large)
    served.do(served.desk.end, "T1", Status.FINISH, exit_code=0)
    fast = listen(served)
    assert fast.until("end")["status"] == "finish"
    got = 0
    while event := slow.next():
        got += len(content(event[1])) if event[0] == "output" else 0
    assert got == len(large)
    slow.close()
    fast.close()


def test_streams_end_cleanly_when_the_server_stops(served: Served) -> None:
    served.do(served.desk.begin, "T1")
    served.do(served.desk.write, "T1", b"abc")
    listener = listen(served)
    listener.until("output")
    served.wait(served.server.stop(grace_s=30))  # so that no slow turn of the loop cuts the stream off
    assert listener.next() is None
    assert listener.last_id == "3"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", served.port), timeout=5)
    listener.close()


def test_stopping_does_not_wait_for_a_client_that_does_not_read(served: Served) -> None:
    served.do(served.desk.begin, "T1")
    served.do(served.desk.write, "T1", b"x" * (32 << 20))
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /jobs/T1/log HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        served.wait(served.server.stop(grace_s=0.1))


def test_many_followers_share_one_job(served: Served) -> None:
    served.do(served.desk.begin, "T1")
    listeners = [listen(served) for _ in range(20)]
    ends: list[str] = []
    threads = [threading.Thread(target=lambda one=one: ends.append(one.until("end")["status"])) for one in listeners]
    for thread in threads:
        thread.start()
    served.do(served.desk.end, "T1", Status.TIMEOUT)
    for thread in threads:
        thread.join(60)
    assert ends == ["timeout"] * 20
    for one in listeners:
        one.close()
