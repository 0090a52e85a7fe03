"""What scripts leave with the node while the Job Manager is away: results and files, delivered when he is back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Header
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request

from worker.api.answers import documented
from worker.api.faults import Refusal, unknown_job
from worker.api.guard import too_large
from worker.api.jobs import TaskId
from worker.api.site import desk_of
from worker.desk import Outgoing

RESULT_LIMIT_BYTES = 8 << 20

router = APIRouter(tags=["for the Job Manager"])

_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
_FILE = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
FileName = Annotated[str, Header(alias="X-File-Name", description="The base name of the file, percent-encoded.")]


class LeftAnswer(BaseModel):
    """It is kept, durably, until it is delivered or refused."""

    status: Literal["waiting"] = "waiting"


class WaitingAnswer(BaseModel):
    """How many results and files of a task wait for the Job Manager."""

    waiting: int


@router.get("/msg/outbox/{task_id}", summary="Count what waits for the Job Manager", responses=documented(404, 409))
async def waiting(request: Request, task_id: TaskId) -> WaitingAnswer:
    """Tell how many results and files of a task wait here; what comes later should not overtake them."""
    return WaitingAnswer(waiting=_outgoing(request).waiting(task_id))


@router.post(
    "/msg/outbox/result/{task_id}",
    summary="Leave a result for the Job Manager",
    responses=documented(404, 409),
    openapi_extra={"requestBody": _BODY},
)
async def leave_result(request: Request, task_id: TaskId) -> LeftAnswer:
    """Keep a result; it is handed in before the status of its job is told."""
    outgoing = _outgoing(request)
    body = bytearray()
    async for chunk in pieces(request):
        body += chunk
        if len(body) > RESULT_LIMIT_BYTES:
            raise too_large(RESULT_LIMIT_BYTES)
    try:
        is_object = isinstance(json.loads(bytes(body)), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise Refusal(400, "ERR-JOB-007", "The body of the request is not usable: a result is a JSON object.")
    if not await outgoing.leave_result(task_id, bytes(body)):
        raise unknown_job(task_id)
    return LeftAnswer()


@router.post(
    "/msg/outbox/file/{task_id}",
    summary="Leave a file for the Job Manager",
    responses=documented(404, 409),
    openapi_extra={"requestBody": _FILE},
)
async def leave_file(request: Request, task_id: TaskId, name: FileName) -> LeftAnswer:
    """Keep a file, of any size within `keep.outbox_bytes`; it is delivered before the status of its job is told."""
    outgoing = _outgoing(request)
    size = request.headers.get("content-length", "")
    if not size.isdecimal():
        raise Refusal(400, "ERR-JOB-007", "The request has to say how large the file is (Content-Length).")
    if not await outgoing.leave_file(task_id, unquote(name), int(size), pieces(request)):
        raise unknown_job(task_id)
    return LeftAnswer()


def _outgoing(request: Request) -> Outgoing:
    outgoing = desk_of(request).outgoing()
    if outgoing is None:
        raise Refusal(409, "ERR-OUT-001")
    return outgoing


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body of a request as it comes. Raises `ClientDisconnect`."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message["body"]
        if not message["more_body"]:
            return
