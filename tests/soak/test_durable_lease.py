"""Holders that sleep past their lease: SIGSTOP, the other node takes over, SIGCONT. One effect for each fence."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from tests.brokers.manager import Manager, manager_of
from tests.brokers.stages import DURABLE, Stage
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running
from tests.soak.conftest import Slice

Tier = Literal["quick", "night"]

ROUNDS = {"quick": 3, "night": 500}
TERM_S = {"quick": 2, "night": 1}
"""A busy machine lets a node miss a lease by itself; a night has the machine for itself."""
TRIES = 10
"""How often a round begins again because its holder had lost the job already when it was stopped."""
LEASES = [stage for stage in DURABLE if stage.startswith(("nats", "redis"))]
"""RabbitMQ has no lease: its loans end with the connection, which a server misses after two heartbeats."""
CMD = "sleep 600 & echo $JOB_ITEM_TASK_ID $JOB_ITEM_FENCE $JOB_ITEM_BASE_URL $$ $! >> {ledger}; wait $!"


class Run(NamedTuple):
    """One attempt, as the ledger has it; those of a job are ordered by their fences."""

    fence: int
    port: int
    """Of the API of its node."""
    pids: tuple[int, ...]
    """Its processes."""

    @property
    def goes_on(self) -> bool:
        return all(map(is_alive, self.pids))

    @property
    def is_gone(self) -> bool:
        return not any(map(is_alive, self.pids))


def settings(stage: Stage, ledger: Path, term_s: int) -> dict[str, Any]:
    """A job that writes down its attempt, its fence, whose it is and its processes, and goes on until it is let go."""
    return {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(lease=term_s),
        "jobs": [
            {
                "event": "work",
                "cmd": CMD.format(ledger=ledger),
                "retries": {"attempts": 1000},
                "kill_grace": 0,
            }
        ],
        "limits": {"concurrency": 2},
        "heartbeat": {"interval": 1, "timeout": 300},
    }


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", LEASES, indirect=True)
def test_who_sleeps_past_his_lease_kills_his_job_and_has_no_say(
    stage: Stage, tier: Tier, part: Slice, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    wanted = settings(stage, ledger, TERM_S[tier])
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "one", wanted) as one,
        running(tmp_path / "two", wanted) as two,
    ):
        nodes = {one.port: one, two.port: two}
        names = [f"T{number}" for number in range(part.share(ROUNDS[tier]))]
        for name in names:
            manager.trigger("work", task_id=name)
            slept = _oversleep(ledger, name, nodes)
            eventually(lambda slept=slept: slept.is_gone, what="who has slept kills its tree")  # type: ignore[misc]
            eventually(partial(_is_left, nodes[slept.port], name, slept.fence), what="what it came to does not count")
            assert manager.said(name, "_finish") == []
            # Whoever has it now goes on with it, be it the third already: a node may miss a lease by itself as well.
            going, _ = eventually(partial(_holder, ledger, name, nodes), within_s=60)
            assert going.fence > slept.fence, "fences grow from node to node"
            eventually(partial(_is_over, manager, name), within_s=120, what="whoever has it ends it and says so")
        for node in nodes.values():
            node.stop(within_s=60)
        manager.listen("nobody")
        manager.publish("nobody_finish", "behind all that the nodes have said")
        manager.await_said("nobody")
        assert {name: manager.said(name, "_finish") for name in names} == {name: [b"terminate"] for name in names}
        for name in names:
            runs = _runs(ledger, name)
            assert len({run.fence for run in runs}) == len(runs), "one effect for each fence"
            assert all(run.is_gone for run in runs)


def _oversleep(ledger: Path, name: str, nodes: Mapping[int, Node]) -> Run:
    """Stop the node that has the job until the other one runs it, with a higher fence; returns what was stopped."""
    for _ in range(TRIES):
        slept, old = eventually(partial(_holder, ledger, name, nodes), within_s=60)
        worker = old.child_pid("worker")
        os.kill(worker, signal.SIGSTOP)
        try:
            eventually(partial(_has_passed, ledger, name, slept), within_s=60, what="the other node takes over")
            went_on = slept.goes_on
        finally:
            os.kill(worker, signal.SIGCONT)
        if went_on:  # else it had missed its lease before it was stopped
            return slept
    raise AssertionError("a job that was stopped with its node never went on")


def _runs(ledger: Path, name: str) -> list[Run]:
    """The runs of a job so far."""
    rows = [line.split() for line in ledger.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [
        Run(int(fence), int(url.rpartition(":")[2]), tuple(map(int, pids)))
        for task_id, fence, url, *pids in rows
        if task_id == name
    ]


def _holder(ledger: Path, name: str, nodes: Mapping[int, Node]) -> tuple[Run, Node]:
    """The run with the highest fence and its node, once it is that node's own opinion that it goes on."""
    last = max(_runs(ledger, name), default=None)
    assert last is not None
    record = nodes[last.port].job(name)
    assert record["status"] == "running"
    assert record["attempts"][-1]["fence"] == last.fence
    return last, nodes[last.port]


def _has_passed(ledger: Path, name: str, slept: Run) -> bool:
    return any(run.fence > slept.fence and run.port != slept.port for run in _runs(ledger, name))


def _is_left(node: Node, name: str, fence: int) -> bool:
    """Whether the attempt with this fence does not count, as its job was lost; the node may have it again."""
    (attempt,) = [attempt for attempt in node.job(name)["attempts"] if attempt["fence"] == fence]
    return bool((attempt["error"] or {}).get("code") == "ERR-DLV-001")


def _is_over(manager: Manager, name: str) -> bytes:
    """Ask whoever has a job for its end: one that loses it in this very moment has no say, and another has it."""
    manager.control(name, "terminate")
    return manager.await_said(name, within_s=10)
