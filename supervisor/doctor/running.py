"""The node that runs here, if any: whether it answers, is well, and has the settings in force that the file says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from job_item import __version__
from job_item.errors import NodeError
from job_item.state import StateFolder
from supervisor.client import Client
from supervisor.doctor.line import Case, Line, fail, of_error, ok, warn

PATIENCE_S = 1.0
FAULTS_SHOWN = 5


def node(case: Case) -> Iterator[Line]:
    """Look at the node as its API shows it."""
    if StateFolder(case.state_dir).read_node() is None:
        yield ok("node", "No node runs here.")
        return
    client = Client(case.state_dir, patience_s=PATIENCE_S)
    try:
        pid = client.node().pid
    except NodeError as error:
        yield of_error("node", error, "warn")
        return
    try:
        health, ready, execs = client.health(), client.readiness(), client.execs()
    except NodeError as error:
        yield of_error("node", error)
        return
    yield from judge(pid, health, ready, execs)


def _manager(state: dict[str, Any] | None) -> Iterator[Line]:
    """Whether the running node has the newest settings of its Job Manager."""
    if state is None:
        return
    if state["reason"]:
        said = f"{state['reason']} ({state['code']}) The answer in force is of {state['answered_at']}."
        yield warn("manager", "ERR-MGR-008", said)
    else:
        yield ok("manager", f"{state['url']} answers; it knows {len(state['events'])} events.")


def _polled(state: dict[str, Any] | None) -> Iterator[Line]:
    """Whether the running node gets on with the ReefGuide API."""
    if state is None:
        return
    if not state["connected"]:
        code = state["code"] or "ERR-RFG-004"
        yield warn("polling", code, f"The node is not served by {state['url']}: {state['reason']}.")
    else:
        yield ok("polling", f"The node is served by {state['url']} since {state['since']}.")


def judge(pid: int, health: dict[str, Any], ready: dict[str, Any], execs: list[dict[str, Any]]) -> Iterator[Line]:
    """Make lines of what the API says."""
    if health["version"] != __version__:
        said = f"Process {pid} runs version {health['version']}; this command is {__version__}."
        yield warn("node", "ERR-SUP-052", said, "Restart the node, so that both are of one version.")
    else:
        yield ok("node", f"Process {pid} answers.")
    if ready["ready"]:
        yield ok("readiness", "The node takes jobs.")
    else:
        reasons = "; ".join(ready["reasons"]) or "it does not say why"
        yield fail("readiness", "ERR-SUP-051", f"The node takes no jobs: {reasons}.")
    faults = (health.get("settings") or {}).get("faults") or []
    for fault in faults[:FAULTS_SHOWN]:
        said = f"The newest settings are not in force: {fault}"
        yield warn("reload", "ERR-CFG-007", said, "Correct the file: `job_item check` says where.")
    if not faults:
        yield ok("reload", "The node has rejected no settings.")
    yield from _manager(health.get("manager"))
    yield from _polled(health.get("reefguide"))
    for each in execs:
        if each["state"] == "failed":
            yield warn("execs", "ERR-EXE-003", f"The background command {each['key']!r} was given up.")
