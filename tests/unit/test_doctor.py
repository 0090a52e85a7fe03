"""`doctor`: each of its lines can go wrong, and is right where all is well."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_item import __version__
from job_item.codes import REGISTER
from job_item.errors import NodeError
from job_item.manager.answer import Answer
from job_item.manager.kept import Shelf
from job_item.manager.supply import Supply
from job_item.nodespec import Api
from job_item.state import NodeInfo, StateFolder
from supervisor.doctor import clock, configured, processes, running, storage
from supervisor.doctor.examine import CHECKS, case_of, examine, is_well
from supervisor.doctor.line import Case, Line, fail, ok, warn
from tests.conftest import free_port
from tests.desks import serve
from tests.doctors import HEALTH, READY, case, only

# settings


def test_root_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    only(configured.user(case(tmp_path)), "warn", "ERR-HST-112")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    only(configured.user(case(tmp_path)), "ok")


@pytest.mark.parametrize(
    ("config", "verdict", "code"),
    [
        ("jobs: []", "ok", None),
        ("jobs: [", "fail", "ERR-CFG-002"),
        ("job: []", "fail", "ERR-CFG-004"),
        ("jobs: [{event: a, cmd: [no-such-program]}]", "warn", "ERR-CFG-023"),
    ],
)
def test_settings_may_be_wrong(tmp_path: Path, config: str, verdict: str, code: str | None) -> None:
    only(configured.settings(case(tmp_path, config)), verdict, code)


def test_a_file_that_is_not_there_is_told_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    known = case_of(tmp_path / "none.yaml", os.environ)
    assert known.concurrency == 1
    only(configured.settings(known), "fail", "ERR-CFG-001")
    assert list(configured.port(known)) == []
    assert list(configured.connectivity(known)) == []
    only(configured.shells(known), "ok")


@pytest.mark.parametrize(
    ("config", "verdict"),
    [
        ("jobs: [{event: a, cmd: 'true'}]", "ok"),
        ("execs: [{key: a, cmd: 'true'}]", "ok"),
        ("jobs: [{event: a, cmd: ['true']}]", "ok"),
        ("jobs: [{event: a, cmd: 'true', shell: zsh-that-is-not-there}]", "fail"),
    ],
)
def test_shells_may_be_missing(tmp_path: Path, config: str, verdict: str) -> None:
    only(configured.shells(case(tmp_path, config)), verdict, None if verdict == "ok" else "ERR-CFG-022")


def test_a_file_with_a_secret_may_be_open_to_others(tmp_path: Path) -> None:
    known = case(tmp_path, "api: {token: secret}")
    only(configured.secrets(known), "ok")
    known.config_path.chmod(0o644)
    only(configured.secrets(case_of(known.config_path, os.environ)), "warn", "ERR-CFG-024")


def test_the_port_may_be_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        only(configured.port(case(tmp_path, f"api: {{port: {number}}}")), "fail", "ERR-SUP-008")
        default = case(tmp_path, "jobs: []")
        assert default.loaded is not None
        api = Api.model_construct(set(), port=number)
        settings = default.loaded.settings.model_copy(update={"api": api})
        gives_way = replace(default, loaded=replace(default.loaded, settings=settings))
        only(configured.port(gives_way), "warn", "ERR-SUP-008")
    only(configured.port(case(tmp_path, f"api: {{port: {free_port()}}}")), "ok")
    only(configured.port(case(tmp_path, "api: {port: 0, host: 192.0.2.1, token: a}")), "fail", "ERR-SUP-009")


def test_a_node_that_runs_has_its_port_already(tmp_path: Path) -> None:
    with serve() as served:
        known = case(tmp_path, f"{{state_dir: state, api: {{port: {served.port}}}}}")
        tell(known, served.base_url)
        assert "has its port" in only(configured.port(known), "ok").said


SERVERS = "{end_point: 'https://127.0.0.1:1'}"
LAST_ANSWER = Answer(broker={"type": "redis", "host": "127.0.0.1", "port": "2"})


def test_servers_may_be_out_of_reach(tmp_path: Path) -> None:
    asked: list[tuple[str, int, bool]] = []

    def reach(host: str, port: int, is_secure: bool) -> None:
        asked.append((host, port, is_secure))
        if is_secure:
            raise ssl.SSLCertVerificationError(1, "certificate verify failed")

    known = case(tmp_path, SERVERS)
    known.state_dir.mkdir(exist_ok=True)
    Shelf(known.state_dir, "https://127.0.0.1:1", "").keep(Supply("https://127.0.0.1:1", LAST_ANSWER, 1.0))
    lines = {line.said.split(":")[0]: line for line in configured.connectivity(case(tmp_path, SERVERS), reach)}
    assert sorted(asked) == [("127.0.0.1", 1, True), ("127.0.0.1", 2, False)]
    assert (lines["end_point"].verdict, lines["broker_connection"].verdict) == ("fail", "ok")
    assert lines["end_point"].code == "ERR-SUP-057"
    only(configured.connectivity(case(tmp_path, "jobs: []")), "ok")


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and ends them without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            try:
                while True:
                    listener.accept()[0].close()
            except OSError:
                return

        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_server_that_knows_no_tls_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with silent_server() as number:
        configured.connect("127.0.0.1", number, False)
        with pytest.raises(OSError):
            configured.connect("127.0.0.1", number, True)
    with pytest.raises(ConnectionRefusedError):
        configured.connect("127.0.0.1", free_port(), False)


# the node that runs


def tell(known: Case, url: str, pid: int | None = None) -> None:
    folder = StateFolder(known.state_dir)
    folder.prepare()
    folder.write_node(NodeInfo(pid or os.getpid(), url, None, __version__, 0.0))


def test_no_node_is_no_fault(tmp_path: Path) -> None:
    only(running.node(case(tmp_path)), "ok")


def test_a_node_that_is_gone_or_deaf_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = case(tmp_path)
    tell(known, f"http://127.0.0.1:{free_port()}", 2**22 + 1)
    only(running.node(known), "warn", "ERR-SUP-050")
    monkeypatch.setattr(running, "PATIENCE_S", 0.01)
    tell(known, f"http://127.0.0.1:{free_port()}")
    only(running.node(known), "fail", "ERR-SUP-051")


def test_a_node_that_answers_is_well(tmp_path: Path) -> None:
    with serve() as served:
        known = case(tmp_path)
        tell(known, served.base_url)
        lines = list(running.node(known))
    assert {line.check: line.verdict for line in lines} == {"node": "ok", "readiness": "ok", "reload": "ok"}


@pytest.mark.parametrize(
    ("health", "ready", "execs", "check", "verdict", "code"),
    [
        ({"version": "0.0.1"}, READY, [], "node", "warn", "ERR-SUP-052"),
        (HEALTH, {"ready": False, "reasons": ["the node is stopping"]}, [], "readiness", "fail", "ERR-SUP-051"),
        ({**HEALTH, "settings": {"faults": ["config.yaml:3: no."]}}, READY, [], "reload", "warn", "ERR-CFG-007"),
        (HEALTH, READY, [{"key": "web", "state": "failed"}], "execs", "warn", "ERR-EXE-003"),
    ],
)
def test_what_the_node_says_of_itself_may_be_bad(
    health: dict[str, Any], ready: dict[str, Any], execs: list[dict[str, Any]], check: str, verdict: str, code: str
) -> None:
    wrong = [line for line in running.judge(7, health, ready, execs) if line.verdict != "ok"]
    assert [(line.check, line.verdict, line.code) for line in wrong] == [(check, verdict, code)]


# all of it


def test_every_code_of_a_line_is_in_the_register_and_every_line_has_a_remedy(tmp_path: Path) -> None:
    for line in examine(case(tmp_path)):
        assert line.said
        assert line.verdict == "ok" or (line.code in REGISTER and line.remedy)


def test_a_check_that_breaks_or_hangs_is_a_line_of_its_own(tmp_path: Path) -> None:
    free = threading.Event()

    def hangs(_: Case) -> Iterator[Line]:
        free.wait(20)
        yield ok("hangs", "Late.")

    def breaks(_: Case) -> Iterator[Line]:
        raise NodeError("ERR-HST-001", "no")

    begun = time.monotonic()
    lines = examine(case(tmp_path), (hangs, breaks, processes.open_files), limit_s=0.2)
    assert time.monotonic() - begun < 10
    free.set()
    assert [(line.check, line.code) for line in lines[:2]] == [("hangs", "ERR-HST-100"), ("breaks", "ERR-HST-100")]
    assert lines[2].check == "open files"


def test_warnings_are_no_hindrance() -> None:
    assert is_well([ok("a", "A."), warn("b", "ERR-HST-109", "B.")])
    assert not is_well([ok("a", "A."), fail("b", "ERR-HST-109", "B.")])


def test_no_check_is_forgotten() -> None:
    modules = (processes, storage, clock, configured, running)
    defined = {
        thing
        for module in modules
        for name, thing in vars(module).items()
        if callable(thing)
        and getattr(thing, "__module__", "") == module.__name__
        and not name.startswith("_")
        and "Iterator[Line]" in str(getattr(thing, "__annotations__", {}).get("return", ""))
    }
    assert defined - {running.judge} == set(CHECKS)
