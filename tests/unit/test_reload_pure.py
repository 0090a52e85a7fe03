"""The pure parts of a reload: when files have come to rest, who is answered, what differs, where paths lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.link import ChildStart
from job_item.load import load
from job_item.reload import Change, Effect
from job_item.sign import sign
from supervisor.difference import changes, digest_of, fixed_of
from supervisor.draft import Ground, draft
from supervisor.requests import WAITING_MAX, Request, Requests
from supervisor.start import make_start, node_of
from supervisor.tables import ENTRIES, Room
from supervisor.trail import follow
from supervisor.unrest import PATIENCE_S, QUIET_S, Unrest, step

# Unrest


def test_files_are_read_after_a_quiet_time() -> None:
    unrest = step(None, has_news=True, is_unfinished=False, now_s=5.0)
    assert unrest == Unrest(5.0, 5.0, is_unfinished=False)
    assert unrest is not None
    assert unrest.end_s == 5.0 + QUIET_S


def test_nothing_new_leaves_rest_and_unrest_as_they_are() -> None:
    assert step(None, has_news=False, is_unfinished=True, now_s=5.0) is None
    unrest = Unrest(1.0, 2.0, is_unfinished=True)
    assert step(unrest, has_news=False, is_unfinished=False, now_s=5.0) == replace(unrest, is_unfinished=False)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_no_unrest_lasts_longer_than_patience(story: Sequence[tuple[float, bool, bool]]) -> None:
    now_s, unrest = 100.0, step(None, has_news=True, is_unfinished=False, now_s=100.0)
    for pause_s, has_news, is_unfinished in story:
        assert unrest is not None
        assert unrest.last_s <= unrest.end_s <= unrest.since_s + PATIENCE_S + QUIET_S
        now_s += pause_s
        if now_s >= unrest.end_s:
            unrest = None
        unrest = step(unrest, has_news=has_news or unrest is None, is_unfinished=is_unfinished, now_s=now_s)


# Requests


def test_what_is_asked_for_while_one_runs_makes_one_more() -> None:
    requests: Requests[int] = Requests().ask(Request()).begin()
    for number in (1, 2):
        requests = requests.ask(Request((number,))).ask(Request()).begin()
    assert requests.running == Request()
    assert requests.end().begin() == Requests(Request((1, 2)))


def test_each_dry_reading_is_one_of_its_own() -> None:
    requests: Requests[int] = Requests()
    for request in (
        Request((1,), is_dry=True),
        Request((2,), is_dry=True, candidate="x"),
        Request((3,)),
        Request((4,)),
    ):
        requests = requests.ask(request)
    assert [request.orders for request in requests.waiting] == [(1,), (2,), (3, 4)]


@given(st.lists(st.sampled_from(["ask", "dry", "begin", "end"]), max_size=200))
def test_every_order_is_answered_once_by_a_reading_that_began_after_it(story: Sequence[str]) -> None:
    requests: Requests[int] = Requests()
    asked: set[int] = set()
    answered: list[int] = []
    began_with: set[int] = set()
    for number, move in enumerate(story):
        match move:
            case "ask" | "dry":
                if requests.is_full:
                    continue
                asked.add(number)
                requests = requests.ask(Request((number,), is_dry=move == "dry"))
            case "begin":
                if requests.running is None and requests.waiting:
                    began_with = set(asked)
                requests = requests.begin()
            case "end":
                if requests.running is not None:
                    assert set(requests.running.orders) <= began_with
                    answered += requests.running.orders
                requests = requests.end()
    while requests.running is not None or requests.waiting:
        requests = requests.begin()
        assert requests.running is not None
        answered += requests.running.orders
        requests = requests.end()
    assert sorted(answered) == sorted(asked)


def test_orders_that_wait_are_bounded() -> None:
    requests: Requests[int] = Requests()
    for number in range(WAITING_MAX):
        requests = requests.ask(Request((number,)))
    assert requests.is_full


# Differences

BASE = """
api: {port: 0}
jobs:
  - {event: hello, cmd: echo hi, env: {A: "1"}}
execs:
  - {key: web, cmd: sleep 9, env: {B: "1"}}
"""
IN_PLACE: Effect = "in place"
EXEC: Effect = "restarts the exec"
JOB_CHILD: Effect = "restarts the job child"
EXECS_CHILD: Effect = "restarts the execs child"
SEEN: Effect = "restarts the execs that see it"


def start_of(folder: Path, text: str, environ: dict[str, str]) -> ChildStart:
    (folder / "config.yaml").write_text(text)
    loaded = load(folder / "config.yaml", environ)
    start = make_start(loaded, {"JOB_ITEM_IDENTITY_ID": "me", **environ}, "http://127.0.0.1:1", 1, 0.0)
    return replace(start, digest=digest_of(start))


ROWS = [
    ("echo hi", "echo ho", "jobs.hello.cmd", "changed", IN_PLACE),
    ('A: "1"', 'A: "2"', "jobs.hello.env.A", "changed", IN_PLACE),
    ('A: "1"', 'A: "1", C: "1"', "jobs.hello.env.C", "added", IN_PLACE),
    ("event: hello", "timeout: 3, event: hello", "jobs.hello.timeout", "changed", IN_PLACE),
    ("sleep 9", "sleep 8", "execs.web.cmd", "changed", EXEC),
    ('B: "1"', 'B: "2"', "execs.web.env.B", "changed", EXEC),
    ('B: "1"', 'C: "1"', "execs.web.env.B", "removed", EXEC),
    ("key: web", "attempt: 9, key: web", "execs.web.attempt", "changed", IN_PLACE),
    ("key: web", "name: n, key: web", "execs.web.name", "changed", IN_PLACE),
    ("key: web", "key: other", "execs.web", "removed", IN_PLACE),
    ("key: web", "key: other", "execs.other", "added", IN_PLACE),
    ("event: hello", "event: other", "jobs.other", "added", IN_PLACE),
    ("port: 0", "port: 0, token: abcdefgh", "api.token", "changed", JOB_CHILD),
    ("port: 0", "port: 0, token: abcdefgh", "api.token", "changed", SEEN),
    ("api:", "pass_env: [X]\napi:", "pass_env", "changed", SEEN),
    ("port: 0", "port: 7", "api.port", "changed", JOB_CHILD),
    ("api:", "sync: full\napi:", "sync", "changed", JOB_CHILD),
    ("api:", "work_dir: /tmp\napi:", "work_dir", "changed", JOB_CHILD),
    ("api:", "state_dir: x\napi:", "state_dir", "changed", JOB_CHILD),
    ("api:", "state_dir: x\napi:", "state_dir", "changed", EXECS_CHILD),
    ("api:", "identity_id: other\napi:", "identity_id", "changed", JOB_CHILD),
    ("api:", "drain_grace: 3\napi:", "drain_grace", "changed", IN_PLACE),
    ("api:", "keep: {days: 1}\napi:", "keep.days", "changed", IN_PLACE),
    ("api:", "limits: {concurrency: 77}\napi:", "limits.concurrency", "changed", IN_PLACE),
    ("api:", "log: {level: DEBUG}\napi:", "log.level", "changed", IN_PLACE),
    ("api:", "heartbeat: {interval: 1}\napi:", "heartbeat.interval", "changed", IN_PLACE),
]


@pytest.mark.parametrize(("before", "after", "path", "kind", "effect"), ROWS)
def test_what_a_difference_takes(tmp_path: Path, before: str, after: str, path: str, kind: str, effect: str) -> None:
    old, new = (start_of(tmp_path, text, {}) for text in (BASE, BASE.replace(before, after)))
    found = changes(old, new)
    assert (path, kind, effect) in {(change.path, change.kind, change.effect) for change in found}
    assert old.digest != new.digest
    for room, word in ((Room.WORKER, JOB_CHILD), (Room.EXECS, EXECS_CHILD)):
        assert (fixed_of(old)[room] != fixed_of(new)[room]) == any(change.effect == word for change in found)
    assert changes(new, new) == ()


def test_a_change_of_dotenv_or_of_a_secret_s_file_is_one(tmp_path: Path) -> None:
    text = BASE.replace("port: 0", "port: 0, token_file: token")
    (tmp_path / "token").write_text("first-token")
    (tmp_path / ".env").write_text("PASSWORD=hunter22\n")
    old = start_of(tmp_path, text, {})
    (tmp_path / "token").write_text("second-token")
    (tmp_path / ".env").write_text("PASSWORD=hunter23\n")
    found = changes(old, start_of(tmp_path, text, {}))
    assert found == (
        Change("api.token", "changed", "restarts the job child"),
        Change("api.token", "changed", SEEN),
        Change(".env.PASSWORD", "changed", SEEN),
    )
    assert "hunter" not in str(found)


def test_comments_order_of_jobs_and_spelling_change_nothing_that_counts(tmp_path: Path) -> None:
    old = start_of(tmp_path, BASE, {})
    new = start_of(tmp_path, "# hello\n" + BASE.replace("{port: 0}", "{port: '0'}"), {})
    assert old.digest == new.digest
    assert changes(old, new) == ()


def test_a_state_folder_replaces_no_execs_child_where_there_is_none(tmp_path: Path) -> None:
    text = BASE[: BASE.index("execs:")]
    found = changes(start_of(tmp_path, text, {}), start_of(tmp_path, "state_dir: x\n" + text, {}))
    assert [change.effect for change in found] == ["restarts the job child"]


def test_a_plan_names_its_files_and_rooms(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(BASE)
    loaded = load(tmp_path / "config.yaml", {})
    start = make_start(loaded, {"WORKER_ID": "me"}, "http://127.0.0.1:1", 1, 0.0)
    plan = draft(loaded, start, node_of(start, 1, 0.0), Ground(ENTRIES, 3, 4))
    assert set(plan.sources.files) == {str(tmp_path / "config.yaml"), str(tmp_path / ".env")}
    assert plan.rooms == (Room.WORKER, Room.EXECS)
    assert plan.digest == digest_of(start)


# Trails


def test_a_trail_names_each_link_and_the_file(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "file").write_text("x")
    (tmp_path / "now").symlink_to("v1")
    (tmp_path / "config").symlink_to("now/../now/file")
    trail = follow(str(tmp_path / "config"))
    names = [Path(place.path).relative_to(tmp_path).as_posix() for place in trail.steps]
    assert names == ["config", "now", "now", "v1/file"]
    assert not trail.is_broken


def test_a_trail_ends_where_something_is_missing(tmp_path: Path) -> None:
    trail = follow(str(tmp_path / "a" / "b" / "c"))
    assert trail.is_broken
    assert trail.steps[-1].path == str(tmp_path / "a")


def test_a_circle_of_links_is_a_broken_trail(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert follow(str(tmp_path / "a")).is_broken
    assert sign(str(tmp_path / "a")) is None
