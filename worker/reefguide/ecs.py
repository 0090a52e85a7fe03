"""Who this node is in ECS (protocol reefguide.md, section 8): for people who look at assignments, and to find our own.

Only the task's ARN and its cluster go to the API. `Revision` may be text or a number, `Cluster` an ARN or a name, and
the zone may be missing: none of that matters here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import requests

from job_item.job import new_task_id
from job_item.log import get
from job_item.reefvars import ECS_METADATA
from worker.aside import aside

UNKNOWN = "Unknown - metadata lookup failure"
"""What the original sends where it does not know."""
TIMEOUTS_S = (2.0, 5.0)
LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class EcsTask:
    """The ARN of this task and its cluster."""

    arn: str
    cluster: str


def look_up(uri: str) -> EcsTask:
    """Ask for the metadata of this task; waits. Raises ValueError, with the reason."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a link-local address: no proxy stands before it
            with session.get(f"{uri.rstrip('/')}/task", timeout=TIMEOUTS_S, stream=True) as response:
                raw = response.raw.read(LIMIT_BYTES)
                status = response.status_code
    except requests.RequestException as error:
        raise ValueError(str(error)) from error
    if status != 200:
        raise ValueError(f"{ECS_METADATA} answers {status}")
    return read(raw)


def read(raw: bytes) -> EcsTask:
    """Read the metadata. Raises ValueError."""
    content = json.loads(raw)
    arn, cluster = (content.get(name) if isinstance(content, dict) else None for name in ("TaskARN", "Cluster"))
    if not isinstance(arn, str) or not arn or not isinstance(cluster, str) or not cluster:
        raise ValueError("TaskARN or Cluster is missing")
    return EcsTask(arn, cluster)


class Naming:
    """Under which names this node asks for jobs. `identity` is the node's own name."""

    def __init__(self, identity: str, environ: Mapping[str, str]) -> None:
        self._identity = identity
        self._uri = environ.get(ECS_METADATA)
        self._task: EcsTask | None = None

    async def learn(self) -> None:
        """Ask ECS, where this runs in it. What cannot be learnt is told in the log."""
        if self._uri:
            try:
                self._task = await aside(partial(look_up, self._uri))
            except ValueError as error:
                get("worker").warning("ecs.unknown", code="ERR-RFG-014", reason=str(error))

    def task(self) -> str:
        """The name for a claim: it finds a claim again whose answer was lost."""
        return self._task.arn if self._task is not None else f"job_item:{self._identity}:{new_task_id()}"

    def cluster(self) -> str:
        """The name of the cluster."""
        return self._task.cluster if self._task is not None else UNKNOWN
