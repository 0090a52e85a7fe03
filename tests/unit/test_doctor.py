"""`doctor`: each of its lines can go wrong, and is right where all is well."""

from __future__ import annotations

import errno
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_item import __version__
from job_item.codes import REGISTER
from job_item.errors import NodeError
from job_item.hardware import Unknown
from job_item.hardware.disk import Usage
from job_item.manager.answer import Answer
from job_item.manager.kept import Shelf
from job_item.manager.supply import Supply
from job_item.settings import Api
from job_item.state import NodeInfo, StateFolder
from supervisor.doctor import clock, configured, processes, running, storage
from supervisor.doctor.examine import CHECKS, case_of, examine, is_well
from supervisor.doctor.line import Case, Line, fail, ok, warn
from tests.conftest import free_port
from tests.desks import serve
from tests.machines import lay_out

GB = 1 << 30
WIDE = Usage(100 * GB, 50 * GB, 10**7, 10**6)
CGROUP = {
    "sys/fs/cgroup/cgroup.controllers": "",
    "proc/self/cgroup": "0::/jobs\n",
    "sys/fs/cgroup/jobs/cgroup.procs": "",
}
HEALTH: dict[str, Any] = {"version": __version__}
READY: dict[str, Any] = {"ready": True, "reasons": []}


def case(folder: Path, config: str = "", environ: dict[str, str] | None = None) -> Case:
    """A node whose settings are `config`."""
    path = folder / "config.yaml"
    path.write_text(config or "{state_dir: state}\n")
    path.chmod(0o600)
    return case_of(path, {**os.environ, **(environ or {})})


def only(lines: Iterable[Line], verdict: str, code: str | None = None) -> Line:
    """The one line that there is, which says what is expected."""
    (line,) = lines
    assert (line.verdict, line.code) == (verdict, code), line
    assert (verdict == "ok") == (line.remedy == "")
    assert line.said[-1] in ".?"
    return line


# processes


def test_keepers_find_what_a_job_detaches(tmp_path: Path) -> None:
    portable = os.environ.get("JOB_ITEM_PORTABLE") == "1"
    only(processes.keepers(case(tmp_path)), *(("warn", "ERR-HST-101") if portable else ("ok",)))


def test_without_subreapers_keepers_are_warned_about(tmp_path: Path) -> None:
    only(processes.keepers(case(tmp_path, environ={"JOB_ITEM_PORTABLE": "1"})), "warn", "ERR-HST-101")


def test_a_probe_that_cannot_be_started_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    only(processes.keepers(case(tmp_path)), "fail", "ERR-HST-101")


def test_process_descriptors_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOB_ITEM_PORTABLE", raising=False)
    only(processes.process_descriptors(case(tmp_path)), "ok")
    monkeypatch.setenv("JOB_ITEM_PORTABLE", "1")
    only(processes.process_descriptors(case(tmp_path)), "warn", "ERR-HST-102")


@pytest.mark.parametrize(
    ("files", "verdict"),
    [
        (CGROUP, "ok"),
        ({}, "warn"),
        ({**CGROUP, "proc/self/cgroup": "0::/elsewhere\n"}, "warn"),
        ({"sys/fs/cgroup/cgroup.controllers": ""}, "warn"),
    ],
)
def test_cgroups_are_there_and_writable_or_not(tmp_path: Path, files: dict[str, str], verdict: str) -> None:
    known = replace(case(tmp_path), root=lay_out(tmp_path / "root", files))
    only(processes.cgroup(known), verdict, None if verdict == "ok" else "ERR-HST-103")


def test_a_cgroup_that_a_job_names_must_be_writable(tmp_path: Path) -> None:
    config = f"jobs: [{{event: a, cmd: 'true', resources: {{cgroup: {tmp_path}/none}}}}]"
    known = replace(case(tmp_path, config), root=lay_out(tmp_path / "root", CGROUP))
    first, second = processes.cgroup(known)
    assert (first.verdict, second.verdict, second.code) == ("ok", "fail", "ERR-RUN-015")


def test_open_files_may_be_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = case(tmp_path, "limits: {concurrency: 100}")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 364))
    only(processes.open_files(known), "ok")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 363))
    only(processes.open_files(known), "warn", "ERR-CFG-026")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, resource.RLIM_INFINITY))
    only(processes.open_files(known), "ok")


@pytest.mark.parametrize(
    ("files", "own", "verdict"),
    [
        ({"proc/sys/kernel/pid_max": "32768\n"}, -1, "ok"),
        ({"proc/sys/kernel/pid_max": "143\n"}, -1, "warn"),
        ({"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/pids.max": "20\n"}, -1, "warn"),
        ({"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/pids.max": "max\n"}, -1, "ok"),
        ({}, 50, "warn"),
    ],
)
def test_processes_may_be_too_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], own: int, verdict: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (own, own))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    known = replace(case(tmp_path, "limits: {concurrency: 10}"), root=lay_out(tmp_path / "root", files))
    only(processes.processes(known), verdict, None if verdict == "ok" else "ERR-HST-104")


# storage


def test_the_state_folder_is_made_at_the_first_start(tmp_path: Path) -> None:
    assert "will be made" in only(storage.state_folder(case(tmp_path)), "ok").said


@pytest.mark.parametrize(
    ("mode", "verdict", "code"),
    [
        (0o700, "ok", None),
        (0o770, "fail", "ERR-SUP-007"),
        (0o702, "fail", "ERR-SUP-007"),
        (0o755, "warn", "ERR-SUP-007"),
    ],
)
def test_the_state_folder_is_for_its_owner_only(tmp_path: Path, mode: int, verdict: str, code: str | None) -> None:
    known = case(tmp_path)
    known.state_dir.mkdir()
    known.state_dir.chmod(mode)
    only(storage.state_folder(known), verdict, code)


def test_a_state_folder_that_cannot_be_made_or_written_fails(tmp_path: Path) -> None:
    known = replace(case(tmp_path), state_dir=tmp_path / "file")
    known.state_dir.write_text("")
    only(storage.state_folder(known), "fail", "ERR-SUP-006")
    only(storage.state_folder(replace(known, state_dir=tmp_path / "file/state")), "fail", "ERR-SUP-006")


def mounted(folder: Path, kind: str) -> Path:
    return lay_out(
        folder / "root", {"proc/self/mountinfo": f"1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / {folder} rw - {kind} b rw\n"}
    )


@pytest.mark.parametrize(
    ("kind", "took_s", "verdict"),
    [
        ("ext4", 0.001, "ok"),
        ("ext4", 0.0, "warn"),
        ("xfs", 0.11, "warn"),
        ("tmpfs", 0.001, "warn"),
        ("nfs4", 0.0, "fail"),
    ],
)
def test_what_is_written_must_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, took_s: float, verdict: str
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def sync(_: int) -> None:
        now[0] += took_s

    known = replace(case(tmp_path), root=mounted(tmp_path, kind))
    only(storage.durability(known, sync), verdict, None if verdict == "ok" else "ERR-HST-105")


def test_a_disk_that_does_not_confirm_fails(tmp_path: Path) -> None:
    def sync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    known = replace(case(tmp_path), root=mounted(tmp_path, "ext4"))
    only(storage.durability(known, sync), "fail", "ERR-HST-105")


def test_the_real_disk_confirms_writes(tmp_path: Path) -> None:
    (line,) = storage.durability(case(tmp_path))
    assert line.verdict in ("ok", "warn")
    assert list(tmp_path.iterdir()) == [tmp_path / "config.yaml"], "nothing is left behind"


def test_task_files_need_a_file_system_that_can_mark_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = case(tmp_path)
    monkeypatch.setattr(storage, "has_unnamed", lambda _: True)
    monkeypatch.setattr(storage, "has_attributes", lambda _: True)
    only(storage.task_files(known), "ok")
    monkeypatch.setattr(storage, "has_attributes", lambda _: False)
    assert "extended attributes" in only(storage.task_files(known), "warn", "ERR-HST-106").said
    monkeypatch.setattr(storage, "has_unnamed", lambda _: False)
    assert "unnamed files and no extended" in only(storage.task_files(known), "warn", "ERR-HST-106").said
    only(storage.task_files(replace(known, work_dir=tmp_path / "none")), "fail", "ERR-CFG-020")


def test_what_a_file_system_can_do_is_tried_out(tmp_path: Path) -> None:
    for look in (storage.has_unnamed, storage.has_attributes):
        assert look(tmp_path) in (True, False)
        assert look(Path("/proc")) is False


@pytest.mark.parametrize(
    ("usage", "verdicts", "codes"),
    [
        (WIDE, ["ok", "ok"], []),
        (WIDE._replace(free_bytes=GB - 1), ["warn", "ok"], ["ERR-HST-107"]),
        (WIDE._replace(free_bytes=1 << 20), ["fail", "ok"], ["ERR-HST-107"]),
        (WIDE._replace(free_inodes=19_999), ["ok", "warn"], ["ERR-HST-108"]),
        (WIDE._replace(free_inodes=10), ["ok", "fail"], ["ERR-HST-108"]),
        (WIDE._replace(total_inodes=0, free_inodes=0), ["ok", "ok"], []),
    ],
)
def test_disks_may_be_full(tmp_path: Path, usage: Usage, verdicts: list[str], codes: list[str]) -> None:
    lines = list(storage.space(case(tmp_path), lambda _: usage))
    assert [line.verdict for line in lines] == verdicts, "state and work folder are one here, and looked at once"
    assert [line.code for line in lines if line.code] == codes


def test_a_disk_that_does_not_say_how_full_it_is(tmp_path: Path) -> None:
    def measure(folder: Path) -> Usage:
        raise Unknown("ERR-HST-001", "No.")

    only(storage.space(case(tmp_path), measure), "warn", "ERR-HST-001")


# clocks and watches


def test_the_clock_may_be_long_past_or_left_alone(tmp_path: Path) -> None:
    known = case(tmp_path)
    only(clock.system_clock(known, time.time, lambda: 0), "ok")
    only(clock.system_clock(known, time.time, lambda: 5), "warn", "ERR-HST-109")
    only(clock.system_clock(known, lambda: 0.0, lambda: 0), "fail", "ERR-HST-109")
    assert clock.kernel_clock_state() >= -1


def test_the_steady_clock_may_stand_or_run_away(tmp_path: Path) -> None:
    known = case(tmp_path)
    only(clock.steady_clock(known, lambda: 5.0), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: 2 * time.monotonic()), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: -time.monotonic()), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: time.clock_gettime(time.CLOCK_MONOTONIC_RAW)), "ok")


def test_files_may_not_be_watchable(tmp_path: Path) -> None:
    known = replace(case(tmp_path), root=lay_out(tmp_path / "root"))
    only(clock.watches(known, lambda: -1), "warn", "ERR-HST-111")
    only(clock.watches(known, lambda: os.open("/dev/null", os.O_RDONLY)), "ok")
    lay_out(known.root, {"proc/sys/fs/inotify/max_user_watches": "8\n"})
    only(clock.watches(known), "warn", "ERR-HST-111")


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
