"""Who this node is in ECS (protocol reefguide.md, section 8): for people who look at assignments, and to find our own.

Only the task's ARN and its cluster go to the API. `Revision` may be text or a number, `Cluster` an ARN or a name, and
the zone may be missing: none of that matters here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import requests

from job_item.reefvars import ECS_METADATA

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
