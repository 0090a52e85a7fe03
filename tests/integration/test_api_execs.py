"""Execs and reload over HTTP: states, orders, logs that rotate; the logs are real files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from job_item.errors import Unavailable
from job_item.link import ExecState
from job_item.orders import Refusal, Verb
from job_item.reload import Change, ReloadReport, SettingsState
from job_item.state import exec_log
from tests.conftest import eventually
from tests.desks import MemoryDesk, Served, serve
from tests.listening import Listener
from worker.api import execs

ODD = ("a/b", "with space", "ünï", "50%", "a%2Fb", "x/log", "log", "a/restart", "?q#f", "..")


def state(key: str, **more: Any) -> ExecState:
    return ExecState(key, key.upper(), "running", 77, 1, None, 1_700_000_000.0, **more)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    desk = MemoryDesk()
    desk.state_dir = tmp_path
    desk.exec_states = (state("ticker", ready=True, health="healthy", reason="all is well"), *map(state, ODD))
    (tmp_path / "execs").mkdir()
    with serve(desk) as served:
        yield served


def write(served: Served, data: bytes, key: str = "ticker") -> None:
    with exec_log(served.desk.state_dir, key).open("ab") as file:
        file.write(data)


def rotate(served: Served, key: str = "ticker") -> None:
    path = exec_log(served.desk.state_dir, key)
    if (older := Path(f"{path}.1")).exists():
        older.replace(f"{path}.2")
    path.replace(older)


def listen(served: Served, query: str = "", last_event_id: str | None = None) -> Listener:
    """Follow the exec."""
    return Listener(served, f"/execs/ticker/log?follow=1{query}", last_event_id)


def test_an_exec_is_shown_with_readiness_health_and_reason(served: Served) -> None:
    shown = served.ask("GET", "/execs/ticker").json
    assert shown == {
        "key": "ticker",
        "name": "TICKER",
        "state": "running",
        "pid": 77,
        "attempts": 1,
        "exit_code": None,
        "since": "2023-11-14T22:13:20.000Z",
        "ready": True,
        "health": "healthy",
        "reason": "all is well",
    }
    assert served.ask("GET", "/execs").json["execs"][0] == shown


@pytest.mark.parametrize("key", ODD)
def test_a_key_may_hold_any_character(served: Served, key: str) -> None:
    path = "/execs/" + quote(key, safe="")
    assert served.ask("GET", path).json["key"] == key
    assert served.ask("POST", f"{path}/stop").json["state"] == "stopped"
    assert served.desk.exec_orders == [(key, "stop")]
    write(served, key.encode(), key)
    assert served.ask("GET", f"{path}/log").body == key.encode()


def test_a_slash_that_is_not_encoded_parts_segments(served: Served) -> None:
    assert served.ask("GET", "/execs/a/b").status == 404
    refused = served.ask("POST", "/execs/ticker/log")
    assert (refused.status, refused.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(("verb", "state"), [("start", "running"), ("stop", "stopped"), ("restart", "running")])
def test_an_order_is_answered_with_the_state_that_came_of_it(served: Served, verb: str, state: str) -> None:
    reply = served.ask("POST", f"/execs/ticker/{verb}")
    assert (reply.status, reply.json["state"]) == (200, state)
    assert served.desk.exec_orders == [("ticker", verb)]


def test_an_order_is_answered_when_it_shows_though_it_was_accepted_before(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(key: str, verb: Verb) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(partial(served.desk.change_exec, key, reason="is being ended"))
        loop.call_later(0.05, partial(served.desk.change_exec, key, state="starting", pid=None))
        loop.call_later(0.1, partial(served.desk.change_exec, key, state="running", pid=79, since=1_700_000_009.0))

    monkeypatch.setattr(served.desk, "order_exec", accept)
    assert served.ask("POST", "/execs/ticker/restart").json["pid"] == 79


def test_an_order_that_takes_long_is_answered_with_the_state_as_it_is(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(key: str, verb: Verb) -> None:
        served.desk.change_exec(key, reason="is being ended")

    monkeypatch.setattr(execs, "CARRIED_OUT_LIMIT_S", 0.05)
    monkeypatch.setattr(served.desk, "order_exec", accept)
    reply = served.ask("POST", "/execs/ticker/stop")
    assert (reply.status, reply.json["state"], reply.json["reason"]) == (200, "running", "is being ended")


@pytest.mark.parametrize(
    ("verb", "before", "now", "shows"),
    [
        ("stop", {}, {}, False),
        ("stop", {}, {"state": "running", "reason": "is being ended"}, False),
        ("stop", {}, {"state": "stopped", "pid": None}, True),
        ("stop", {"state": "backoff", "pid": None}, {"state": "stopped", "pid": None}, True),
        ("start", {"state": "stopped", "pid": None}, {"state": "stopped", "pid": None}, False),
        ("start", {"state": "stopped", "pid": None}, {"state": "starting", "pid": None, "since": 2.0}, False),
        ("start", {"state": "stopped", "pid": None}, {"pid": 1, "since": 2.0}, True),
        ("start", {"state": "stopped", "pid": None}, {"state": "stopped", "pid": None, "since": 2.0}, True),
        ("start", {"state": "stopped", "pid": None}, {"state": "waiting", "pid": None, "since": 2.0}, True),
        ("restart", {}, {"since": 2.0}, False),
        ("restart", {}, {"pid": 1}, True),
        ("restart", {}, {"state": "backoff", "pid": None, "since": 2.0}, True),
    ],
)
def test_an_order_shows_in_the_state(verb: Verb, before: dict[str, Any], now: dict[str, Any], shows: bool) -> None:
    assert execs.is_carried_out(verb, replace(state("x"), **before), replace(state("x"), **now)) is shows


def test_an_unknown_exec_is_answered_with_the_known_ones(served: Served) -> None:
    for method, path in (("GET", "/execs/no"), ("POST", "/execs/no/stop"), ("GET", "/execs/no/log?follow=1")):
        reply = served.ask(method, path)
        assert (reply.status, reply.json["code"]) == (404, "ERR-EXE-011")
        assert "'ticker', 'a/b'" in reply.json["error"]
    assert served.desk.exec_orders == []


def test_an_order_that_makes_no_sense_is_a_conflict_with_its_reason(served: Served) -> None:
    served.desk.refusal = Refusal("ERR-EXE-002", "It runs already.")
    reply = served.ask("POST", "/execs/ticker/start")
    assert (reply.status, reply.json["code"], reply.json["error"]) == (409, "ERR-EXE-002", "It runs already.")
    assert served.ask("POST", "/reload").status == 409


def test_what_the_parent_cannot_do_now_is_unavailable(served: Served) -> None:
    served.desk.refusal = Refusal("ERR-SUP-005", "Not now.")
    for path in ("/execs/ticker/start", "/reload"):
        reply = served.ask("POST", path)
        assert (reply.status, reply.json["error"], reply.headers["retry-after"]) == (503, "Not now.", "5")


def test_an_order_that_nobody_answers_is_unavailable(served: Served) -> None:
    served.desk.broken = Unavailable("ERR-LNK-003", "No answer.")
    for path in ("/execs/ticker/start", "/reload"):
        reply = served.ask("POST", path)
        assert (reply.status, reply.json["code"]) == (503, "ERR-LNK-003")


def test_wrong_verbs_and_methods_are_refused(served: Served) -> None:
    assert served.ask("POST", "/execs/ticker/explode").status == 404
    assert served.ask("GET", "/reload").status == 405
    assert served.ask("DELETE", "/execs/ticker").status == 405
    assert served.desk.exec_orders == []


@pytest.mark.parametrize("path", ["/execs/ticker/restart", "/execs/ticker/stop", "/execs/ticker/start", "/reload"])
def test_a_foreign_page_gives_no_orders(served: Served, path: str) -> None:
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example"}):
        assert served.ask("POST", path, {}, headers).status == 403
    assert (served.desk.exec_orders, served.desk.reloads) == ([], [])


def test_orders_need_the_token_where_there_is_one() -> None:
    desk = MemoryDesk()
    desk.exec_states = (state("a/log"),)
    with serve(desk, token="secret") as served:
        for method, path in (("POST", "/execs/a%2Flog/stop"), ("POST", "/reload"), ("GET", "/execs/a%2Flog/log")):
            assert served.ask(method, path).status == 401
            assert served.ask(method, f"/t/secret{path}").status == 200
        assert served.ask("GET", "/t/secret/execs/a%2Flog").json["key"] == "a/log"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"one\ntwo\nthree\nf\xffur"),
        ("?tail=5", b"\nf\xffur"),
        ("?tail=0", b""),
        ("?tail=9999", b"one\ntwo\nthree\nf\xffur"),
        ("?lines=2", b"three\nf\xffur"),
        ("?lines=3", b"two\nthree\nf\xffur"),
        ("?lines=0", b""),
        ("?lines=99", b"one\ntwo\nthree\nf\xffur"),
        ("?lines=3&tail=6", b"e\nf\xffur"),
    ],
)
def test_a_log_is_read_over_all_its_files_or_a_part_of_it(served: Served, query: str, body: bytes) -> None:
    for piece in (b"one\ntw", b"o\nthree\n"):
        write(served, piece)
        rotate(served)
    write(served, b"f\xffur")
    reply = served.ask("GET", f"/execs/ticker/log{query}")
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert served.ask("HEAD", f"/execs/ticker/log{query}").headers["content-length"] == str(len(body))


def test_a_large_log_comes_whole(served: Served) -> None:
    line = b"x" * 99 + b"\n"
    write(served, line * 30_000)
    rotate(served)
    write(served, line)
    assert served.ask("GET", "/execs/ticker/log").body == line * 30_001
    assert served.ask("GET", "/execs/ticker/log?lines=20000").body == line * 20_000


def test_a_log_is_followed_over_rotations_and_states(served: Served) -> None:
    write(served, b"one\ntwo\n")
    with closing(listen(served, "&lines=1")) as listener:
        assert listener.until("state")["state"] == "running"
        assert listener.gather(4) == b"two\n"
        write(served, "three ü".encode()[:-1])
        assert listener.gather(6) == b"three "
        rotate(served)
        write(served, "ü\n".encode()[1:])  # a character that a rotation cut in two
        assert listener.gather(3) == "ü\n".encode()
        write(served, b"\xff\n")
        assert listener.gather(2) == b"\xff\n"
        served.do(served.desk.change_exec, "ticker", state="backoff", pid=None, exit_code=3, reason="exit code 3")
        said = listener.until("state")
        assert (said["state"], said["exit_code"], said["reason"]) == ("backoff", 3, "exit code 3")
        write(served, "ü".encode()[:1])
        assert listener.gather(1) == "ü".encode()[:1]  # nobody is there to write the rest

        def vanish() -> None:  # in one turn: late news of earlier output would end all before the last was written
            served.desk.exec_states = ()
            write(served, b"last")

        served.do(vanish)
        assert listener.gather(4) == b"last"
        assert "ticker" in listener.until("end")["reason"]
        assert listener.next() is None


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(served: Served) -> None:
    write(served, "one ü".encode()[:-1])
    with closing(listen(served)) as listener:
        assert listener.gather(4) == b"one "
        reached = listener.last_id
    write(served, "ü".encode()[1:])
    rotate(served)
    write(served, b" two")
    with closing(listen(served, last_event_id=reached)) as listener:
        assert listener.gather(6) == "ü two".encode()


def test_a_client_that_was_away_too_long_is_told_of_the_gap(served: Served) -> None:
    write(served, b"one")
    with closing(listen(served)) as listener:
        assert listener.gather(3) == b"one"
        reached = listener.last_id
    for piece in (b"lost", b"two ", b"three ", b"four"):
        rotate(served)
        write(served, piece)
    with closing(listen(served, last_event_id=reached)) as listener:
        listener.until("gap")
        assert listener.gather(14) == b"two three four"
    assert served.ask("GET", "/execs/ticker/log?follow=1", headers={"last-event-id": "nonsense"}).status == 400


def test_a_log_that_is_not_there_yet_is_followed_from_its_first_byte(served: Served) -> None:
    with closing(listen(served, "&lines=0")) as listener:
        listener.until("state")
        write(served, b"born")
        assert listener.gather(4) == b"born"


@pytest.mark.parametrize("before", [b"", b"before"])
def test_what_comes_while_a_client_that_saw_no_output_is_away_is_not_lost(served: Served, before: bytes) -> None:
    if before:
        write(served, before)
    with closing(listen(served, "&lines=0")) as listener:
        listener.until("state")
        reached = listener.last_id
    write(served, b"meanwhile")
    with closing(listen(served, "&lines=0", reached)) as listener:
        assert listener.gather(9) == b"meanwhile"


def test_a_follower_that_goes_leaves_nothing_open(served: Served) -> None:
    write(served, b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with closing(listen(served)) as listener:
            listener.gather(1)
    eventually(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


REPORT = ReloadReport("beef", (Change("execs.ticker.cmd", "changed", "restarts the exec"),))


@pytest.mark.parametrize("body", [None, {}, {"plan": False}, {"plan": False, "candidate": None}])
def test_a_reload_is_answered_with_what_it_did(served: Served, body: Any) -> None:
    served.desk.report = REPORT
    reply = served.ask("POST", "/reload", body)
    assert (reply.status, served.desk.reloads) == (200, [(False, None)])
    change = {"path": "execs.ticker.cmd", "kind": "changed", "effect": "restarts the exec"}
    assert reply.json == {"digest": "beef", "changes": [change], "faults": [], "applied": True}


def test_a_plan_is_applied_to_nothing(served: Served, tmp_path: Path) -> None:
    served.desk.report = REPORT
    assert served.ask("POST", "/reload", {"plan": True}).json["applied"] is False
    candidate = tmp_path / "ü new.yaml"
    candidate.touch()
    assert served.ask("POST", "/reload", {"plan": True, "candidate": str(candidate)}).status == 200
    assert served.desk.reloads == [(True, None), (True, str(candidate))]


@pytest.mark.parametrize("is_dry", [False, True])
def test_settings_with_faults_are_refused_with_all_of_them(served: Served, is_dry: bool) -> None:
    faults = ("config.yaml:3: jobs[0].cmd: is missing [ERR-CFG-006]", "config.yaml:9: ü [ERR-CFG-004]")
    served.desk.report = ReloadReport("bad", (), faults)
    reply = served.ask("POST", "/reload", {"plan": is_dry})
    assert (reply.status, reply.json["code"]) == (422, "ERR-API-016")
    assert "2 faults: config.yaml:3" in reply.json["error"]
    assert (reply.json["faults"], reply.json["applied"]) == (list(faults), False)


@pytest.mark.parametrize(
    "body",
    [
        {"candidate": "/etc/hostname"},
        {"plan": True, "candidate": "relative.yaml"},
        {"plan": True, "candidate": "/nonexistent/file"},
        {"plan": True, "candidate": "/dev/zero"},
        {"plan": True, "candidate": "/"},
        {"plan": True, "candidate": "/nul\0l"},
        {"plan": "maybe"},
        [],
    ],
)
def test_a_wrong_request_to_reload_never_reaches_the_parent(served: Served, body: Any) -> None:
    assert served.ask("POST", "/reload", body).status == 400
    assert served.desk.reloads == []


def test_health_shows_which_settings_are_in_force(served: Served) -> None:
    served.desk.settings = SettingsState("beef", 1_700_000_000.0, ("config.yaml:3: wrong",), ("worker",))
    assert served.ask("GET", "/healthz").json["settings"] == {
        "digest": "beef",
        "since": "2023-11-14T22:13:20.000Z",
        "faults": ["config.yaml:3: wrong"],
        "pending": ["worker"],
    }
