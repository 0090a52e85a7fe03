"""Nodes that poll the stand-in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.reefguide.api.server import StandIn
from examples.reefguide.api.store import PASSWORD, USER, Job
from tests.conftest import eventually
from tests.nodes import Node, running

TEST_JOB = {"event": "TEST", "cmd": "echo $JOB_ITEM_ASSIGNMENT_ID >> ran; echo '{}'"}
SLOW = {"event": "TEST", "cmd": "touch started; while ! [ -e go ]; do sleep 0.02; done", "kill_grace": 0.1}
"""Tells that it has begun, and ends when it may go."""


@pytest.fixture
def api() -> Iterator[StandIn]:
    """The stand-in, for as long as a test lasts."""
    with StandIn() as made:
        yield made


class Held:
    """From now on the API stops between its look at a job and the claim: `looked` tells that it is there, and
    `goes_on` lets it go on."""

    def __init__(self, api: StandIn) -> None:
        self.looked, self.goes_on = threading.Event(), threading.Event()
        api.store.on_look = self._hold

    def _hold(self, _: Job) -> None:
        self.looked.set()
        self.goes_on.wait(60)


def variables(api: StandIn, **more: str) -> dict[str, str]:
    """What the specification's environment says, with a quick poll."""
    return {
        "API_ENDPOINT": f"{api.url}/",
        "JOB_TYPES": "TEST",
        "WORKER_USERNAME": USER,
        "WORKER_PASSWORD": PASSWORD,
        "POLL_INTERVAL_MS": "100",
        **more,
    }


def settings(*jobs: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Settings with quick claims; `members` of the section `reefguide`, all else by its own name."""
    reefguide = {"settle": "50ms", "watch_interval": "200ms", **members.pop("reefguide", {})}
    return {"jobs": list(jobs or (TEST_JOB,)), "reefguide": reefguide, **members}


@contextmanager
def polling(
    folder: Path, api: StandIn, *jobs: dict[str, Any], environ: dict[str, str] | None = None, **members: Any
) -> Iterator[Node]:
    """A node that polls `api`, for as long as the context lasts."""
    with running(folder, settings(*jobs, **members), {**variables(api), **(environ or {})}) as node:
        yield node


def become(job: Job, status: str, within_s: float = 40.0) -> None:
    """Wait until a job has a status."""
    eventually(lambda: job.status == status, within_s=within_s, what=f"{status}, not {job.history}")


def results(job: Job) -> list[Any]:
    """The payloads that were posted for a job."""
    return [result.payload for result in job.results()]


def lines(node: Node, event: str) -> list[dict[str, Any]]:
    """The lines of a node's log that tell of an event."""
    found = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]
