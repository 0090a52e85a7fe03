"""kill -9 at any moment of an update: the node always ends on a version that works, and no job is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT, eventually
from tests.nodes import Node, is_alive, running, tree_of
from tests.releases import releasing

ROUNDS = {"quick": 2, "night": 60}
LONG_S = 60.0
SPAN_S = {"quick": 6.0, "night": 12.0}
"""The moment of a kill lies within so many seconds of the beginning."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_kill_at_any_moment_leaves_a_node_that_works(tmp_path: Path, tier: str) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1 << 32)
    chance = random.Random(seed)
    said = f"SEED={seed}"
    with releasing(tmp_path / "releases") as maker:
        settings = {
            "jobs": [{"event": "hello", "cmd": "echo hello"}, {"event": "some", "cmd": "sleep 0.5; echo some"}],
            "update": {"public_key": maker.public_key, "watch": 2},
        }
        with running(tmp_path / "node", settings) as node:
            config = ["--config", str(node.folder / "config.yaml")]
            versions = {str(node.health()["version"])}
            for number in range(ROUNDS[tier]):
                version = f"9.{number}"
                url = maker.release(version)
                versions.add(version)
                jobs = [node.submit("some") for _ in range(3)]
                applying = subprocess.Popen(
                    [sys.executable, "-m", "supervisor", "update", "--apply", url, *config],
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                time.sleep(chance.uniform(0, SPAN_S[tier]))  # the moment of the kill: chance, nothing is waited for
                target = chance.choice(["applying", "node", "below"])
                if target == "applying":
                    applying.kill()
                else:
                    _kill(node, chance if target == "below" else None)
                applying.wait(120)
                _revive(node)
                eventually(
                    lambda: _works(node, versions), within_s=LONG_S, what=f"{said} {node.log.read_text()[-3000:]}"
                )
                for job in jobs:
                    assert node.await_status(job, within_s=LONG_S)["status"] == "finish", said
                (tmp_path / "releases" / f"job_item-{version}.pyz").unlink()


def _kill(node: Node, chance: random.Random | None) -> None:
    """Kill the process that a service manager knows, or any below it that is the node's own."""
    below = [pid for pid in tree_of(node.pid) if pid != node.pid]
    with suppress(ProcessLookupError):
        os.kill(chance.choice(below or [node.pid]) if chance else node.pid, signal.SIGKILL)


def _revive(node: Node) -> None:
    """What a service manager does: a node that has ended is started again."""
    assert node.process is not None
    with suppress(subprocess.TimeoutExpired):
        node.process.wait(5)
        left = [pid for pid in tree_of(node.pid) if pid != node.pid]
        eventually(lambda: not any(map(is_alive, left)), within_s=LONG_S, what="all of it is gone")
        node.start(ready=False)
    node.await_ready(within_s=LONG_S)


def _works(node: Node, versions: set[str]) -> bool:
    """Whether the node runs jobs, in a version that there is, and is through with its trial."""
    try:
        return (
            node.health()["version"] in versions
            and node.get("/readyz")[0] == 200
            and node.await_status(node.submit("hello"), within_s=LONG_S)["status"] == "finish"
        )
    except (OSError, AssertionError):
        return False
