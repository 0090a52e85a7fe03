"""Notifications that jobs send while they run."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from job_item.job import is_task_id
from worker.api.answers import documented
from worker.api.body import read_json
from worker.api.faults import Refusal, unknown_job
from worker.api.jobs import TaskId
from worker.api.models import Message, MessageAnswer
from worker.api.site import desk_of

MSG_LIMIT_BYTES = 102_400
"""The longest notification (protocol job-item.md, section 7)."""

router = APIRouter(tags=["notifications"])


@router.post(
    "/msg/notif/{task_id}",
    summary="Send a notification of a job",
    responses=documented(404),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": Message.model_json_schema()}}}
    },
)
async def notify(request: Request, task_id: TaskId) -> MessageAnswer:
    """Keep a notification with its job and pass it on to whoever watches."""
    message = await read_json(request, Message)
    if len(message.msg.encode()) > MSG_LIMIT_BYTES:
        raise Refusal(400, "ERR-API-010", "msg exceeds 100KB limit")
    if not is_task_id(task_id) or not await desk_of(request).notify(task_id, message.msg):
        raise unknown_job(task_id)
    return MessageAnswer.model_validate({"status": "success", "return": message})
