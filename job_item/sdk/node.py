"""The node of a job as the place where results and files are left while the Job Manager is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import quote

from job_item.errors import NodeError, Unavailable
from job_item.sdk.courier import Courier, LostError
from job_item.sdk.filebody import OpenFile, Stream, Watch
from job_item.sdk.surroundings import result_url, upload_url

Given = TypeVar("Given")
FILE_NAME = "X-File-Name"
"""The header that carries the base name of a file, percent-encoded."""


@dataclass(frozen=True, slots=True)
class Node:
    """Where things are left. `waiting_url` tells how many of the task wait already."""

    url: str
    waiting_url: str

    @classmethod
    def of(cls, environ: Mapping[str, str], what: Literal["result", "file"]) -> Node | None:
        """The node of this job; None where there is none, or where things do not go to the node's own Job Manager."""
        base, manager = environ.get("JOB_ITEM_BASE_URL", ""), environ.get("JOB_MANAGER_HOST", "")
        task = environ.get("JOB_ITEM_TASK_ID", "")
        address = (result_url if what == "result" else upload_url)(environ)
        if not base or not manager or address != f"{manager}/api/worker/job_record/{what}/{task}":
            return None
        return cls(f"{base}/msg/outbox/{what}/{task}", f"{base}/msg/outbox/{task}")

    def has_waiting(self, courier: Courier) -> bool:
        """Whether something of this task waits here, which must not be overtaken."""
        try:
            answer = courier.send("GET", self.waiting_url, None, {})
            return answer.is_success and bool(answer.document()["waiting"])
        except (LostError, NodeError, ValueError, KeyError, TypeError, RecursionError):
            return False

    def leave_result(self, courier: Courier, body: bytes) -> None:
        """Leave a result. Raises `NodeError`."""
        courier.post(self.url, lambda: body, {"Content-Type": "application/json"}, what="the result")

    def leave_file(self, courier: Courier, file: OpenFile, watch: Watch) -> None:
        """Leave a file. Raises `NodeError`."""
        headers = {"Content-Type": "application/octet-stream", FILE_NAME: quote(file.path.name)}
        courier.post(self.url, lambda: Stream(file, watch), headers, what=f"the file {file.path}")


def or_leave(courier: Courier, node: Node | None, send: Callable[[], Given], leave: Callable[[Node], Given]) -> Given:
    """Send, or leave it with the node where the Job Manager is away or something of the task waits for him already.

    Raises what `send` raises where the node does not take it.
    """
    if node is None:
        return send()
    if node.has_waiting(courier):
        return leave(node)
    try:
        return send()
    except Unavailable as error:
        try:
            return leave(node)
        except NodeError:
            raise error from None
