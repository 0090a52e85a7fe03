"""A node is updated while it works, and goes back where the new version is no good; with artifacts that really run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item import __version__
from job_item.release.fetch import fetch_artifact, fetch_release
from job_item.release.keys import verify
from job_item.release.marker import Marker, Staged
from job_item.release.shelf import Shelf
from tests.conftest import ROOT, eventually
from tests.nodes import Node, running
from tests.releases import Releases, releasing

LONG_S = 90.0
"""A start on trial includes the unpacking, on machines that do much else."""


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Releases]:
    with releasing(tmp_path / "releases") as maker:
        yield maker


def settings(maker: Releases, **update: Any) -> dict[str, Any]:
    return {
        "jobs": [
            {"event": "hello", "cmd": "echo hello"},
            {"event": "held", "cmd": "while [ ! -e go ]; do sleep 0.02; done; echo held"},
        ],
        "execs": [{"key": "beside", "cmd": "sleep 600"}],
        "update": {"public_key": maker.public_key, "watch": 1, **update},
    }


def command(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "supervisor", "update", *words, "--config", str(node.folder / "config.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def shelf(node: Node) -> Shelf:
    return Shelf(node.state)


def await_version(node: Node, version: str) -> None:
    """The node answers in a version, and takes jobs."""
    eventually(lambda: node.health()["version"] == version, within_s=LONG_S, what=end_of_log(node))
    eventually(lambda: node.get("/readyz")[0] == 200, within_s=LONG_S, what="ready")


def end_of_log(node: Node) -> str:
    return f"the other version: {node.log.read_text()[-3000:]}"


@pytest.mark.timeout(600)
def test_a_node_is_updated_under_load_and_loses_nothing(maker: Releases, tmp_path: Path) -> None:
    first, second = maker.release("9.0"), maker.release("9.1")
    with running(tmp_path / "node", settings(maker)) as node:
        held, port = node.submit("held"), node.port
        node.await_status(held, "running")
        plan = command(node, "--apply", first, "--dry-run", "--json")
        assert plan.returncode == 0 and json.loads(plan.stdout)["objections"] == []
        assert shelf(node).versions() == ()
        applied = command(node, "--apply", first, "--json")
        assert applied.returncode == 0, applied.stderr
        assert json.loads(applied.stdout) == {"version": "9.0", "is_running": True}
        waiting = node.submit("hello")
        assert node.health()["version"] == __version__, "a job that runs takes the time that it takes"
        (node.folder / "go").touch()
        await_version(node, "9.0")
        assert node.port == port
        assert node.process is not None and node.process.poll() is None
        assert node.job(held)["status"] == "finish" and len(node.job(held)["attempts"]) == 1
        node.await_status(waiting, "finish")
        eventually(lambda: shelf(node).read().is_confirmed, within_s=LONG_S, what="confirmed")

        again = command(node, "--apply", first)
        assert again.returncode == 1 and "ERR-REL-005" in again.stderr
        assert command(node, "--apply", second).returncode == 0
        await_version(node, "9.1")
        assert node.port == port
        eventually(lambda: shelf(node).read().is_confirmed, within_s=LONG_S, what="confirmed")
        assert node.stop() == 0
        node.start()
        assert node.health()["version"] == "9.1", "the version stays after a restart"
        assert node.await_status(node.submit("hello"))["status"] == "finish"
        assert node.stop() == 0


def put(node: Node, maker: Releases, url: str) -> None:
    """Stage a version as `update --apply` does, without examining it: what is wrong with it shows on trial."""
    raw = fetch_release(url)
    release = verify(raw, maker.public_key)
    place = shelf(node)
    node.state.mkdir(mode=0o700, parents=True)
    with place.locked(), place.draft(release.version) as draft:
        fetch_artifact(url, release, draft / "job_item.pyz")
        (draft / "release").write_bytes(raw)
    place.write(Marker().stage(Staged(release.version, release.sha256), release.sequence, 30.0, 1.0))


FAULTS = {
    "crashes": ({"supervisor/parent.py": "import os\nos.abort()"}, "signal 6"),
    "ends at once, as if all were well": ({"supervisor/node.py": "raise SystemExit(0)"}, "exit code 0"),
    "loses its job child": (
        {"worker/about.py": '"""Take news of the node from the parent."""\n >>>         os._exit(7)'},
        "of its children died",
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("faults", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_version_that_fails_on_trial_gives_way_to_the_one_before(
    faults: dict[str, str], reason: str, maker: Releases, tmp_path: Path
) -> None:
    url = maker.release("9.0", faults)
    node = Node(tmp_path / "node", settings(maker))
    put(node, maker, url)
    try:
        node.start(ready=False)
        node.await_ready(within_s=LONG_S)
        assert node.health()["version"] == __version__
        marker = shelf(node).read()
        assert marker.current is None and marker.last is not None
        shown = node.health()["versions"]
        assert (shown["current"], shown["on_trial"], shown["last"]["result"]) == (None, False, "fell back")
        assert b'job_item_update_last_timestamp_seconds{version="9.0",result="fell back"}' in node.get("/metrics")[1]
        assert marker.last.result == "fell back" and reason in marker.last.reason
        assert "ERR-REL-017" in node.log.read_text()
        assert node.await_status(node.submit("hello"))["status"] == "finish"
        refused = command(node, "--apply", url)
        assert refused.returncode == 1 and "ERR-REL-006" in refused.stderr
        assert "has failed on this node" in refused.stderr
        assert node.stop() == 0
    finally:
        node.destroy()
