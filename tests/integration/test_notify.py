"""A real node tells a service manager how it is: sd_notify over real sockets."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from tests.nodes import running
from tests.parents import starting
from tests.services import ServiceManager, abstract_name

SETTINGS: dict[str, Any] = {
    "jobs": [{"event": "long", "cmd": "sleep 600"}, {"event": "environment", "cmd": "env"}],
    "execs": [{"key": "helper", "cmd": "env > helper.env; exec sleep 600"}],
    "pass_env": ["*"],
}


@pytest.fixture(params=["path", "abstract"])
def service(request: pytest.FixtureRequest, short_tmp: Path) -> Any:
    with ServiceManager(short_tmp / "notify" if request.param == "path" else abstract_name()) as service:
        yield service


def test_a_node_says_when_it_is_ready_what_it_does_and_that_it_stops(service: ServiceManager, tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS, service.environ()) as node:
        service.await_line("READY=1")
        assert service.lines()[0].startswith("STATUS=Starting the job child")
        assert f"MAINPID={node.pid}" in service.lines()
        service.await_line(f"STATUS=Serving at http://127.0.0.1:{node.port}, 1 of 1 exec running.")
        assert not any(line.startswith("WATCHDOG") for line in service.lines())
        before = len(service.lines())
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        service.await_line("STATUS=Restarting the job child.", after=before)
        service.await_line("STATUS=Serving at", after=before)
        assert node.stop() == 0
        last = service.lines()[before:]
        assert last.count("STOPPING=1") == 1
        assert "STATUS=Draining: no new jobs, running ones may go on for 30 s at most." in last
        assert last[-1] == "STATUS=Stopped with exit code 0."
        assert service.lines().count("READY=1") == 1, "a new child is no new service"


def test_a_long_drain_asks_for_time(short_tmp: Path, tmp_path: Path) -> None:
    with ServiceManager(short_tmp / "notify") as service, running(tmp_path, SETTINGS, service.environ()) as node:
        task_id = node.submit("long")
        node.await_status(task_id, "running")
        os.kill(node.pid, signal.SIGTERM)
        service.await_line("EXTEND_TIMEOUT_USEC=")
        assert node.stop() == 128 + signal.SIGTERM
        assert "STATUS=Stopping: running jobs are being ended." in service.lines()


def test_what_the_service_manager_has_set_reaches_nobody_else(short_tmp: Path, tmp_path: Path) -> None:
    with ServiceManager(short_tmp / "notify") as service:
        environ = {**service.environ(watchdog_s=30), "LISTEN_FDS": "0", "LISTEN_PID": "1"}
        with running(tmp_path, SETTINGS, environ) as node:
            task_id = node.submit("environment")
            node.await_status(task_id, "finish")
            below = [pid for pid in node.processes() if pid != node.pid]
            told = tmp_path / "helper.env"
            eventually(lambda: told.stat().st_size)
            seen = node.output(task_id) + b"\n" + told.read_bytes()
            for pid in below:
                with suppress(FileNotFoundError, ProcessLookupError):  # the keeper of the job ends meanwhile
                    seen += Path(f"/proc/{pid}/environ").read_bytes().replace(b"\0", b"\n")
            assert b"PATH=" in seen
            assert not [line for line in seen.split(b"\n") if line.startswith((b"NOTIFY_", b"WATCHDOG_", b"LISTEN_"))]


@pytest.mark.parametrize("jobs", [[], [{"event": "new", "cmd": "true"}]], ids=["unchanged", "edited"])
def test_a_reload_is_told_from_its_begin_to_its_end(jobs: list[Any], short_tmp: Path, tmp_path: Path) -> None:
    settings = {"reload": "manual"}
    with ServiceManager(short_tmp / "notify") as service, running(tmp_path, settings, service.environ()) as node:
        service.await_line("READY=1")
        before = len(service.lines())
        asked_us = time.monotonic_ns() // 1000
        node.configure({**settings, "jobs": jobs})
        os.kill(node.pid, signal.SIGHUP)
        service.await_line("RELOADING=1", after=before)
        service.await_line("READY=1", after=before)
        told = service.lines()[before:]
        assert told.index("RELOADING=1") < told.index("READY=1")
        (moment,) = [line for line in told if line.startswith("MONOTONIC_USEC=")]
        assert int(moment.partition("=")[2]) >= asked_us


def test_the_watchdog_is_fed_at_half_its_time(short_tmp: Path, tmp_path: Path) -> None:
    with ServiceManager(short_tmp / "notify") as service, running(tmp_path, {}, service.environ(watchdog_s=0.4)):
        eventually(lambda: service.lines().count("WATCHDOG=1") >= 6)


def test_a_watchdog_of_another_process_is_not_fed(short_tmp: Path, tmp_path: Path) -> None:
    with ServiceManager(short_tmp / "notify") as service:
        with running(tmp_path, {}, {**service.environ(watchdog_s=0.1), "WATCHDOG_PID": "1"}) as node:
            service.await_line("READY=1")
            assert node.stop() == 0
        assert "WATCHDOG=1" not in service.lines()


def test_a_node_whose_child_hangs_and_hangs_again_starves_its_watchdog(
    short_tmp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"heartbeat": {"interval": 0.1, "timeout": 1}, "restart": {"limit": 1000}}
    with ServiceManager(short_tmp / "notify") as service, starting(tmp_path) as start:
        for name, value in service.environ(watchdog_s=0.2).items():
            monkeypatch.setenv(name, value)
        node = start("mute", settings=settings)
        service.await_line("WATCHDOG=1", within_s=60)

        def hunger() -> int:
            """How much oftener it has begun than ended: a parent that could not run itself feeds for a while."""
            return len(node.logged("watchdog.starved", code="ERR-SUP-014")) - len(node.logged("watchdog.fed"))

        def told_while_starved() -> tuple[int, int] | None:
            """How often it was fed before a child hung and after, starved all the time."""
            before = hunger(), len(node.logged("node.woke")), service.lines().count("WATCHDOG=1")
            hung = len(node.logged("child.hung"))
            eventually(lambda: len(node.logged("child.hung")) > hung)
            after = hunger(), len(node.logged("node.woke")), service.lines().count("WATCHDOG=1")
            return (before[2], after[2]) if before[:2] == after[:2] and after[0] == 1 else None

        fed, fed_later = eventually(told_while_starved, within_s=120) or (0, 1)
        assert fed_later == fed
        (node.state_dir / "speak").touch()
        eventually(lambda: hunger() == 0, within_s=60)
        service.await_line("WATCHDOG=1", after=len(service.lines()))


@pytest.mark.parametrize("ending", ["gone", "deaf"])
def test_a_dead_or_full_socket_does_no_harm(ending: str, short_tmp: Path, tmp_path: Path) -> None:
    service = ServiceManager(short_tmp / "notify")
    with service, running(tmp_path, {}, service.environ(watchdog_s=0.01)) as node:
        service.await_line("READY=1")
        if ending == "gone":
            service.close()
        else:
            time.sleep(1)  # the stretch in which nobody reads: the socket is full after some ten datagrams
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: node.child_pid("worker") != worker)
        assert node.stop() == 0
