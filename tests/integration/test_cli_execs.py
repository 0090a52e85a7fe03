"""Commands about execs and the reload of settings, against the real local API over a desk in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from job_item.errors import Unavailable
from job_item.link import ExecState
from job_item.orders import Refusal
from job_item.reload import Change, ReloadReport, SettingsState
from job_item.state import exec_log
from tests.desks import MemoryDesk, Served, serve
from tests.terminal import Shell

CHANGES = (
    Change("jobs.hello.cmd", "changed", "in place"),
    Change("execs.ticker.env.A", "added", "restarts the exec"),
    Change("limits.concurrency", "removed", "restarts the job child"),
)
FAULTS = ("config.yaml:3: jobs[0].cmd: is missing [ERR-CFG-006]", "config.yaml:9: strange \x1b[2J [ERR-CFG-004]")


def make_desk(shell: Shell) -> MemoryDesk:
    desk = MemoryDesk()
    desk.state_dir = shell.state.path
    desk.exec_states = (
        ExecState("ticker", "ticker", "running", 77, 1, None, 1_700_000_000.0, True, "unhealthy", "probe says 500"),
        ExecState("a/b ü", "", "backoff", None, 2, 3, 1_700_000_000.0, reason="exit code 3"),
    )
    return desk


@pytest.fixture
def node(shell: Shell) -> Iterator[Served]:
    with serve(make_desk(shell)) as served:
        shell.knows(served)
        (shell.state.path / "execs").mkdir()
        yield served


def write(shell: Shell, data: bytes, key: str = "ticker") -> None:
    with exec_log(shell.state.path, key).open("ab") as file:
        file.write(data)


def rotate(shell: Shell, key: str = "ticker") -> None:
    path = exec_log(shell.state.path, key)
    path.replace(f"{path}.1")


def test_execs_are_a_table_with_readiness_health_and_reason(shell: Shell, node: Served) -> None:
    with shell.on_terminal("execs") as running:
        text = running.end().out.decode()
    head, ticker, odd = text.splitlines()[:3]
    assert "reason" in head
    assert "name" not in head
    assert "\x1b[32mrunning" in ticker
    assert "ready\x1b[0m, \x1b[31munhealthy" in ticker
    assert "probe says 500" in ticker
    assert " d " in ticker
    assert "a/b ü" in odd
    assert "\x1b[33mbackoff" in odd


def test_execs_are_watched(shell: Shell, node: Served) -> None:
    with shell.on_terminal("execs", "--watch") as running:
        running.sees("backoff")
        node.do(node.desk.change_exec, "a/b ü", state="failed")
        running.sees("failed")
        running.interrupt()
        assert running.end().code == 0
    with shell.start("execs", "--watch") as running:
        running.sees('"failed"')
        running.interrupt()
        assert json.loads(running.end().out.splitlines()[0])[1]["state"] == "failed"


@pytest.mark.parametrize(("verb", "state"), [("restart", "running"), ("stop", "stopped"), ("start", "running")])
def test_several_execs_are_ordered_about_though_one_is_unknown(
    shell: Shell, node: Served, verb: str, state: str
) -> None:
    ended = shell.run("execs", verb, "ticker", "nobody", "a/b ü")
    assert ended.code == 1
    assert [(each["key"], each["state"]) for each in ended.json] == [("ticker", state), ("a/b ü", state)]
    assert node.desk.exec_orders == [("ticker", verb), ("a/b ü", verb)]
    assert "There is no exec 'nobody' on this node; there are: 'ticker', 'a/b ü'. [ERR-EXE-011]" in ended.err


def test_the_state_that_came_of_an_order_is_said_on_a_terminal(shell: Shell, node: Served) -> None:
    with shell.on_terminal("--config", "config.yaml", "execs", "stop", "a/b ü") as running:
        ended = running.end()
    assert (ended.code, ended.out.decode().strip()) == (0, "a/b ü: stopped (exit code 3)")


def test_an_order_that_is_refused_or_not_answered_fails(shell: Shell, node: Served) -> None:
    node.desk.refusal = Refusal("ERR-EXE-002", "It runs already.")
    ended = shell.run("execs", "start", "ticker")
    assert (ended.code, ended.json) == (1, [])
    assert "It runs already. [ERR-EXE-002]" in ended.err
    node.desk.broken = Unavailable("ERR-LNK-003", "No answer.")
    assert shell.run("execs", "start", "ticker").code == 69
    assert shell.run("execs", "start", "..").code == 2


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ((), b"one\ntwo\nth\xffree"),
        (("--tail", "2"), b"two\nth\xffree"),
        (("-n", "0"), b""),
        (("-n", "99"), b"one\ntwo\nth\xffree"),
    ],
)
def test_logs_are_the_raw_bytes_of_all_files(shell: Shell, node: Served, words: tuple[str, ...], output: bytes) -> None:
    write(shell, b"one\ntw", "a/b ü")
    rotate(shell, "a/b ü")
    write(shell, b"o\nth\xffree", "a/b ü")
    ended = shell.run("execs", "logs", "a/b ü", *words)
    assert (ended.code, ended.out) == (0, output)


def test_logs_are_followed_over_rotations_states_and_job_children(shell: Shell) -> None:
    desk = make_desk(shell)
    with ExitStack() as first:
        node = first.enter_context(serve(desk))
        shell.knows(node)
        (shell.state.path / "execs").mkdir()
        write(shell, b"one\ntwo\n")
        with shell.start("execs", "logs", "ticker", "-f", "--tail", "1") as running:
            running.sees("two\n")
            rotate(shell)
            write(shell, b"three\n")
            running.sees("three\n")
            node.do(desk.change_exec, "ticker", state="backoff", reason="exit code 7")
            running.sees(err="[ticker: backoff (exit code 7)]")
            first.close()
            write(shell, b"four\n")
            with serve(desk) as successor:
                shell.knows(successor)
                running.sees("four\n")
                running.interrupt()
                ended = running.end()
    assert (ended.code, ended.out) == (130, b"two\nthree\nfour\n")
    assert ended.err.count("backoff") == 1
    assert "Traceback" not in ended.err


def test_following_ends_with_the_exec(shell: Shell, node: Served) -> None:
    with shell.start("execs", "logs", "ticker", "--follow") as running:
        write(shell, b"last\n")
        running.sees("last\n")

        def vanish() -> None:  # in one turn: late news of earlier output would end all before the last was written
            node.desk.exec_states = ()
            write(shell, b"words\n")

        node.do(vanish)
        ended = running.end()
    assert (ended.code, ended.out) == (0, b"last\nwords\n")
    assert "There is no exec 'ticker' any more" in ended.err


def test_the_log_of_an_unknown_exec_is_a_failure(shell: Shell, node: Served) -> None:
    for words in (("logs", "no"), ("logs", "no", "-f"), ("restart", "no")):
        ended = shell.run("execs", *words)
        assert ended.code == 1
        assert "ERR-EXE-011" in ended.err


def test_a_reload_says_what_it_did(shell: Shell, node: Served) -> None:
    node.desk.report = ReloadReport("beef", CHANGES)
    assert shell.run("reload").json["applied"] is True
    with shell.on_terminal("reload") as running:
        text = running.end().out.decode()
    assert node.desk.reloads == [(False, None)] * 2
    assert "Applied." in text
    for path, effect in (
        ("jobs.hello.cmd", "nothing restarts"),
        ("execs.ticker.env.A", "restarts the exec"),
        ("limits.concurrency", "restarts the job child after a drain"),
    ):
        assert any(path in line and effect in line for line in text.splitlines())


def test_a_plan_is_shown_and_applied_only_by_a_yes(shell: Shell, node: Served) -> None:
    node.desk.report = ReloadReport("beef", CHANGES)
    ended = shell.run("reload", "--plan")
    assert (ended.code, ended.json["applied"], node.desk.reloads) == (0, False, [(True, None)])
    node.desk.reloads.clear()
    assert shell.run("reload", "--plan", "--yes").json["applied"] is True
    assert node.desk.reloads == [(True, None), (False, None)]


@pytest.mark.parametrize(("said", "reloads"), [(b"y\n", [True, False]), (b"n\n", [True]), (b"\n", [True])])
def test_a_plan_is_asked_about_on_a_terminal(shell: Shell, node: Served, said: bytes, reloads: list[bool]) -> None:
    node.desk.report = ReloadReport("beef", CHANGES)
    with shell.on_terminal("reload", "--plan") as running:
        running.sees("Apply this?")
        os.write(running.keyboard, said)
        ended = running.end()
    assert ended.code == 0
    assert [is_dry for is_dry, _ in node.desk.reloads] == reloads
    assert (b"Applied." in ended.out) == (False in reloads)
    assert ended.out.count(b"jobs.hello.cmd") == 1


def test_a_plan_that_changes_nothing_asks_nothing(shell: Shell, node: Served) -> None:
    with shell.on_terminal("reload", "--plan") as running:
        ended = running.end()
    assert (ended.code, ended.out.strip()) == (0, b"Nothing changes.")
    assert node.desk.reloads == [(True, None)]


def test_another_file_is_looked_at_and_never_applied(shell: Shell, node: Served) -> None:
    node.desk.report = ReloadReport("beef", CHANGES)
    (shell.folder / "new.yaml").touch()
    assert shell.run("reload", "--file", "new.yaml").json["applied"] is False
    with shell.on_terminal("reload", "--plan", "--file", "new.yaml") as running:
        assert b"Apply" not in running.end().out
    assert node.desk.reloads == [(True, str(shell.folder / "new.yaml"))] * 2
    assert shell.run("reload", "--file", "new.yaml", "--yes").code == 2
    missing = shell.run("reload", "--file", "missing.yaml")
    assert missing.code == 2
    assert "missing.yaml" in missing.err


@pytest.mark.parametrize("words", [(), ("--plan",), ("--plan", "--yes"), ("--file", "config.yaml")])
def test_settings_with_faults_end_with_78_and_all_of_them(shell: Shell, node: Served, words: tuple[str, ...]) -> None:
    node.desk.report = ReloadReport("bad", (), FAULTS)
    ended = shell.run("reload", *words)
    assert ended.code == 78
    assert ended.json["faults"] == list(FAULTS)
    with shell.on_terminal("reload", *words) as running:
        ended = running.end()
    text = ended.out.decode()
    assert ended.code == 78
    assert "jobs[0].cmd: is missing [ERR-CFG-006]" in text
    assert "\x1b[2J" not in text
    assert "The old settings stay in force." in text
    assert {is_dry for is_dry, _ in node.desk.reloads} == {bool(words)}


def test_a_reload_that_cannot_be_had_now_says_why(shell: Shell, node: Served) -> None:
    node.desk.refusal = Refusal("ERR-LNK-004", "There is no parent.")
    ended = shell.run("reload")
    assert (ended.code, ended.out) == (1, b"")
    assert "There is no parent. [ERR-LNK-004]" in ended.err
    node.desk.broken = Unavailable("ERR-LNK-003", "No answer.")
    assert shell.run("reload").code == 69


def test_status_shows_settings_that_were_rejected(shell: Shell, node: Served) -> None:
    node.desk.settings = SettingsState("beefbeefbeefbeef", 1_700_000_000.0, FAULTS)
    status: Any = shell.run("status").json
    assert status["settings"]["faults"] == list(FAULTS)
    with shell.on_terminal("status") as running:
        text = running.end().out.decode()
    assert "beefbeefbeef)" in text
    assert "not in force" in text
    assert "is missing [ERR-CFG-006]" in text
    assert "\x1b[2J" not in text
    assert "unhealthy" in text


@pytest.mark.parametrize("line", ["job_item execs restart ti", "job_item -c config.yaml execs logs ti"])
def test_keys_are_completed_from_the_node_that_runs(shell: Shell, node: Served, line: str) -> None:
    env = {"_JOB_ITEM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    assert shell.run(env=env).out.decode().split() == ["ticker"]
