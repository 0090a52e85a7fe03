"""kill -9 at points spread over a whole update: the node always ends on a version that works, and no job is lost."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest

from job_item.release.marker import CONFIRMED
from job_item.release.shelf import Shelf
from tests.conftest import ROOT, eventually
from tests.nodes import Node, running, tree_of
from tests.releases import releasing
from tests.soak.conftest import Slice

Tier = Literal["quick", "night"]

TARGETS = ("applying", "node", "below")
"""Who updates, the process that a service manager knows, and a process below that."""
POINTS = {"quick": 2, "night": 60}
WORKING_S = {"quick": 180.0, "night": 60.0}
"""By then the node works, whatever was killed; a night has the machine for itself."""
LONG_S = 180.0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_kill_at_any_point_leaves_a_node_that_works(tmp_path: Path, tier: Tier, part: Slice) -> None:
    points = _points(tier, part)
    works_after_s: list[float] = []
    with releasing(tmp_path / "releases") as maker:
        settings = {
            "jobs": [{"event": "hello", "cmd": "echo hello"}, {"event": "some", "cmd": "sleep 0.5; echo some"}],
            "update": {"public_key": maker.public_key, "watch": 1, "ready": LONG_S},
        }
        with running(tmp_path / "node", settings) as node:
            versions = {str(node.health()["version"])}
            whole_s = _undisturbed_s(node, maker.release("9.0")) if tier == "night" else 6.0
            versions.add("9.0")
            for number in points:
                version = f"9.{number}"
                versions.add(version)
                url = maker.release(version)
                jobs = [node.submit("some") for _ in range(3)]
                applying = _apply(node, url)
                time.sleep(whole_s * (number - 0.5) / POINTS[tier])  # the point of the kill: nothing is waited for
                target = TARGETS[number % len(TARGETS)]
                _kill(node, applying, target, number)
                killed_s = time.monotonic()
                _await_work(node, versions, WORKING_S[tier], f"point {number}, {target} killed")
                works_after_s.append(time.monotonic() - killed_s)
                applying.wait(LONG_S)
                if Shelf(node.state).read().is_waiting:  # the kill came just before the node was told
                    _apply(node, url).wait(LONG_S)
                eventually(lambda: _is_settled(node, versions), within_s=LONG_S, what=_said(node, target, number))
                for job in jobs:
                    record = node.await_status(job, within_s=LONG_S)
                    assert record["status"] == "finish", _said(node, target, number)
                    assert target != "applying" or len(record["attempts"]) == 1, "who updates runs no jobs"
                (tmp_path / "releases" / f"job_item-{version}.pyz").unlink()
            assert node.stop(within_s=LONG_S) == 0
    print(f"{len(works_after_s)} kills, a node that works within {max(works_after_s):.1f} s of each")


def _points(tier: Tier, part: Slice) -> range:
    """The numbers of the points that fall to this part of the tier."""
    if tier == "quick":
        return range(1, POINTS[tier] + 1)
    before = sum(Slice(number, part.of).share(POINTS[tier]) for number in range(1, part.number))
    return range(before + 1, before + part.share(POINTS[tier]) + 1)


def _apply(node: Node, url: str) -> subprocess.Popen[bytes]:
    words: Sequence[str] = ("update", "--apply", url, "--config", str(node.folder / "config.yaml"))
    nowhere = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "supervisor", *words], cwd=ROOT, stdout=nowhere, stderr=nowhere)


def _undisturbed_s(node: Node, url: str) -> float:
    """How long an update takes here, from the command until the version is confirmed."""
    begin_s = time.monotonic()
    assert _apply(node, url).wait(LONG_S) == 0
    shelf = Shelf(node.state)

    def is_kept() -> bool:
        last = shelf.read().last
        return last is not None and last.result == CONFIRMED

    eventually(is_kept, within_s=LONG_S, what=node.log.read_text()[-3000:])
    return time.monotonic() - begin_s


def _kill(node: Node, applying: subprocess.Popen[bytes], target: str, number: int) -> None:
    below = [pid for pid in tree_of(node.pid) if pid != node.pid]
    with suppress(ProcessLookupError):
        match target:
            case "applying":
                applying.kill()
            case "node":
                os.kill(node.pid, signal.SIGKILL)
            case _:
                os.kill(below[number % len(below)] if below else node.pid, signal.SIGKILL)


def _works(node: Node, versions: set[str]) -> bool:
    """Whether the node runs jobs, in a version that there is; one that has ended is started again, as by a service
    manager.
    """
    assert node.process is not None
    if node.process.poll() is not None:
        node.start(ready=False)
    try:
        node.await_ready(within_s=1.0)
        job = node.submit("hello")
        return node.health()["version"] in versions and node.await_status(job)["status"] == "finish"
    except (OSError, http.client.HTTPException, AssertionError):
        return False


def _await_work(node: Node, versions: set[str], within_s: float, what: str) -> None:
    """Wait until the node works; where it does not, say what it has written meanwhile."""
    begin = node.log.stat().st_size
    try:
        eventually(lambda: _works(node, versions), within_s=within_s, what=what)
    except AssertionError as error:
        load = os.getloadavg()[0]
        raise AssertionError(f"{error}, load {load:.1f}: {node.log.read_text()[begin:]}") from error


def _is_settled(node: Node, versions: set[str]) -> bool:
    return _works(node, versions) and not Shelf(node.state).read().is_on_trial


def _said(node: Node, target: str, number: int) -> str:
    return f"point {number}, {target} killed: {node.log.read_text()[-3000:]}"
