"""Nodes that poll the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.reefguide.api.server import StandIn
from examples.reefguide.api.store import PASSWORD, USER
from tests.nodes import Node, running

TEST_JOB = {"event": "TEST", "cmd": "echo $JOB_ITEM_ASSIGNMENT_ID >> ran; echo '{}'"}


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
