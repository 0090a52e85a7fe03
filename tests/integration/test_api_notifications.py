"""`POST /msg/notif/<task id>` to the letter of protocol job-item.md, section 7."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import Served, serve
from tests.nodes import running

LIMIT_BYTES = 102_400


@pytest.fixture
def served() -> Iterator[Served]:
    with serve() as served:
        served.create("T1")
        yield served


@pytest.mark.parametrize(
    "msg",
    [
        "x",
        " ",
        "\0",
        "line\nline\u2028<&>",
        "x" * LIMIT_BYTES,
        "ä" * (LIMIT_BYTES // 2),
        "€" * (LIMIT_BYTES // 3) + "x",
        "\N{GRINNING FACE}" * (LIMIT_BYTES // 4),
    ],
    ids=lambda msg: f"{len(msg)} of {msg[:1]!r}",
)
def test_a_message_within_the_limit_is_repeated_and_kept(served: Served, msg: str) -> None:
    for ensure_ascii in (True, False):
        body = json.dumps({"msg": msg}, ensure_ascii=ensure_ascii).encode()
        reply = served.ask("POST", "/msg/notif/T1", body, {"content-type": "text/plain"}, raw=True)
        assert (reply.status, reply.json) == (200, {"status": "success", "return": {"msg": msg}})
        assert reply.headers["content-type"] == "application/json"
    assert [note["msg"] for note in served.ask("GET", "/jobs/T1").json["notes"]] == [msg, msg]


def test_a_message_whose_every_character_is_escaped_is_measured_without_the_escapes(served: Served) -> None:
    body = b'{"msg":"' + b"\\u0041" * LIMIT_BYTES + b'"}'
    assert served.ask("POST", "/msg/notif/T1", body, raw=True).json["return"] == {"msg": "A" * LIMIT_BYTES}


@pytest.mark.parametrize("msg", ["x" * (LIMIT_BYTES + 1), "ä" * (LIMIT_BYTES // 2) + "x", "€" * (LIMIT_BYTES // 3 + 1)])
def test_one_byte_more_is_refused_in_the_words_of_the_protocol(served: Served, msg: str) -> None:
    reply = served.ask("POST", "/msg/notif/T1", {"msg": msg})
    assert (reply.status, reply.json["error"]) == (400, "msg exceeds 100KB limit")
    assert reply.json["code"] == "ERR-API-010"
    assert served.ask("GET", "/jobs/T1").json["notes"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"msg=text",
        b"{}",
        b'{"msg":""}',
        b'{"msg":null}',
        b'{"msg":1}',
        b'{"msg":["x"]}',
        b'"text"',
        b"null",
        b'{"msg":"x"',
        b'{"msg":"\xff"}',
        b'{"msg":"\xc3"}',
        b'{"msg":"\xed\xa0\x80"}',
        b'{"msg":"\\ud800"}',
        '{"msg":"x"}'.encode("utf-16"),
    ],
)
def test_what_is_no_message_is_refused_and_leaves_nothing(served: Served, body: bytes) -> None:
    reply = served.ask("POST", "/msg/notif/T1", body, raw=True)
    assert (reply.status, reply.json["code"]) == (400, "ERR-JOB-007")
    assert isinstance(reply.json["error"], str)
    assert served.ask("GET", "/jobs/T1").json["notes"] == []


def test_members_that_are_not_asked_for_are_not_looked_at(served: Served) -> None:
    reply = served.ask("POST", "/msg/notif/T1", {"msg": "x", "status": "process"})
    assert (reply.status, reply.json["return"]) == (200, {"msg": "x"})


def test_a_real_journal_gives_back_every_message_as_it_came(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": [{"event": "quick", "cmd": "true"}]}) as node:
        task_id = node.submit("quick")
        messages = ["x" * LIMIT_BYTES, "a\0b", "\N{GRINNING FACE}"]
        for msg in messages:
            assert node.ask("POST", f"/msg/notif/{task_id}", {"msg": msg})[0] == 200
        assert [note["msg"] for note in node.job(task_id)["notes"]] == messages
        assert node.ask("POST", "/msg/notif/unknown", {"msg": "x"})[0] == 404
