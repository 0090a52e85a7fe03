"""A node is updated while it works, and goes back where the new version is no good; with artifacts that really run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item import __version__
from job_item.release.fetch import fetch_artifact, fetch_release
from job_item.release.keys import verify
from job_item.release.marker import Staged
from job_item.release.shelf import Shelf
from supervisor.updating import change_over
from tests.conftest import ROOT, eventually
from tests.nodes import Node, running
from tests.releases import Releases, releasing, runs

LONG_S = 180.0
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
        "update": {"public_key": maker.public_key, "watch": 1, "ready": LONG_S, **update},
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
    eventually(lambda: runs(node, version), within_s=LONG_S, what=end_of_log(node))


def end_of_log(node: Node) -> str:
    return f"the other version: {node.log.read_text()[-3000:]}"


def put(node: Node, maker: Releases, url: str, watch_s: float = 30.0) -> None:
    """Stage a version as `update --apply` does, without examining it: what is wrong with it shows on trial."""
    raw = fetch_release(url)
    release = verify(raw, maker.public_key)
    staged, place = Staged(release.version, release.sha256), shelf(node)
    node.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with place.locked(), place.draft(release.version) as draft:
        fetch_artifact(url, release, draft / "job_item.pyz")
        (draft / "release").write_bytes(raw)
    place.change(lambda marker: marker.stage(staged, release.sequence, watch_s, time.time()))


def await_result(node: Node, version: str, result: str) -> str:
    """The last update came to this; why."""

    def look() -> str | None:
        last = shelf(node).read().last
        return last.reason or result if last is not None and (last.version, last.result) == (version, result) else None

    return eventually(look, within_s=LONG_S, what=f"{version} {result}, {end_of_log(node)}") or ""


@pytest.mark.timeout(900)
def test_a_node_is_updated_under_load_and_loses_nothing(maker: Releases, tmp_path: Path) -> None:
    first = maker.release("9.0")
    with running(tmp_path / "node", settings(maker, jobs="leave")) as node:
        held, port = node.submit("held"), node.port
        node.await_status(held, "running")
        plan = command(node, "--apply", first, "--dry-run", "--json")
        shown = json.loads(plan.stdout)
        assert plan.returncode == 0 and shown["objections"] == []
        assert (shown["jobs"], shown["wait_s"]) == ("leave", 86400.0)
        assert shelf(node).versions() == ()
        applied = command(node, "--apply", first, "--json")
        assert applied.returncode == 0, applied.stderr
        assert json.loads(applied.stdout) == {"version": "9.0", "is_running": True}
        eventually(lambda: "node.awaits_idle" in node.log.read_text(), within_s=LONG_S, what=end_of_log(node))
        assert node.await_status(node.submit("hello"))["status"] == "finish", "what comes meanwhile is run"
        assert node.health()["version"] == __version__, "a job that runs takes the time that it takes"
        (node.folder / "go").touch()
        await_version(node, "9.0")
        assert node.port == port
        assert node.process is not None and node.process.poll() is None
        assert node.job(held)["status"] == "finish" and len(node.job(held)["attempts"]) == 1
        await_result(node, "9.0", "confirmed")

        # Below its guard: one that crashes, then one that does well.
        put(node, maker, maker.release("9.1", {"supervisor/parent.py": "import os\nos.abort()"}))
        assert change_over(node.state)
        assert "signal 6" in await_result(node, "9.1", "fell back")
        await_version(node, "9.0")
        put(node, maker, maker.release("9.2"), watch_s=1.0)
        assert change_over(node.state)
        await_result(node, "9.2", "confirmed")
        await_version(node, "9.2")
        assert node.port == port
        assert node.await_status(node.submit("hello"))["status"] == "finish"
        assert node.stop() == 0
        node.start()
        assert node.health()["version"] == "9.2", "the version stays after a restart"
        assert node.stop() == 0


FAULTS = {
    "9.0": ({"supervisor/parent.py": "import time\ntime.sleep(600)"}, "it was not ready in time"),
    "9.1": ({"supervisor/node.py": "raise SystemExit(0)"}, "exit code 0"),
    "9.2": (
        {"worker/about.py": '"""Take news of the node from the parent."""\n >>>         os._exit(7)'},
        "of its children died",
    ),
}


@pytest.mark.timeout(900)
def test_a_version_that_hangs_or_fails_gives_way_to_what_is_installed(maker: Releases, tmp_path: Path) -> None:
    """What hangs comes up at a start, the others in a node that runs; it is the same process all the time."""
    urls = {version: maker.release(version, faults) for version, (faults, _) in FAULTS.items()}
    node = Node(tmp_path / "node", settings(maker, ready=3))
    try:
        for version, (_, reason) in FAULTS.items():
            put(node, maker, urls[version])
            if node.process is None:
                node.start(ready=False)
            else:
                node.configure(settings(maker))
                assert change_over(node.state)
            assert reason in await_result(node, version, "fell back")
            node.await_ready(within_s=LONG_S)
            await_version(node, __version__)
            assert node.await_status(node.submit("hello"))["status"] == "finish"
        marker = shelf(node).read()
        assert marker.current is None and len(marker.refused) == len(FAULTS)
        shown = node.health()["versions"]
        assert (shown["current"], shown["on_trial"], shown["last"]["result"]) == (None, False, "fell back")
        metrics = node.get("/metrics")[1]
        assert b'job_item_update_last_timestamp_seconds{version="9.2",result="fell back"}' in metrics
        assert b'job_item_update_info{channel="stable"}' in metrics
        assert node.log.read_text().count("ERR-REL-017") == len(FAULTS)
        refused = command(node, "--apply", urls["9.2"])
        assert refused.returncode == 1 and "ERR-REL-006" in refused.stderr
        assert "has failed on this node" in refused.stderr
        assert node.stop() == 0
    finally:
        node.destroy()
