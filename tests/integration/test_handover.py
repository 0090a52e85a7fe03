"""The process that reads the settings becomes the parent by executing itself again; with a real node."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.entry import PLAN_VARIABLE, main
from supervisor.handover import resume
from tests.conftest import eventually
from tests.nodes import Node, running

SECRET = "correct-horse-battery"
SETTINGS = {
    "api": {"port": 0, "token": SECRET},
    "jobs": [{"event": "environment", "cmd": "env"}],
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path, SETTINGS) as node:
        yield node


def test_the_parent_has_none_of_what_reads_settings(node: Node) -> None:
    maps = Path(f"/proc/{node.pid}/maps").read_text()
    assert not [library for library in ("_pydantic_core", "_yaml", "_ssl", "_asyncio") if library in maps]


def test_its_command_is_the_one_that_was_given_and_shows_no_secret(node: Node) -> None:
    words = Path(f"/proc/{node.pid}/cmdline").read_text().split("\0")[:-1]
    assert words == [sys.executable, "-m", "supervisor", "--config", str(node.folder / "config.yaml")]
    assert SECRET not in Path(f"/proc/{node.pid}/environ").read_text()


def test_nothing_of_the_handover_stays_open_or_is_passed_on(node: Node) -> None:
    for pid in (node.pid, node.child_pid("worker")):
        assert not any("memfd" in target for target in targets_of(pid))
    assert f"{PLAN_VARIABLE}=" not in Path(f"/proc/{node.child_pid('worker')}/environ").read_text()


def targets_of(pid: int) -> Iterator[str]:
    """What the descriptors of a process are; it may close one, as that of our own request, under our eyes."""
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(path)


def test_the_folder_stays_locked_through_the_handover(node: Node) -> None:
    second = Node(node.folder, SETTINGS)
    second.log = node.folder / "second.log"
    try:
        second.start(ready=False)
        assert second.process is not None
        assert second.process.wait(60) == 69
    finally:
        second.destroy()
    assert f"process {node.pid}" in second.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_that_comes_on_the_way_is_not_lost(tmp_path: Path, number: int) -> None:
    node = Node(tmp_path, SETTINGS)
    try:
        node.start(ready=False)
        eventually((node.state / "node.json").exists, within_s=60, what="the node can be found")
        assert node.stop(number) == 0, node.log.read_text()
        assert not (node.state / "node.json").exists()
        assert "Traceback" not in node.log.read_text()
    finally:
        node.destroy()


def test_a_plan_of_another_process_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {PLAN_VARIABLE: f"{os.getppid()}:0", "PATH": "/bin"}
    assert resume(environ) is None
    assert environ == {"PATH": "/bin"}
    monkeypatch.setenv(PLAN_VARIABLE, f"{os.getppid()}:0")
    monkeypatch.setattr(sys, "argv", ["job_item", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
