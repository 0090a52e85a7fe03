"""Dead letters: jobs that were tried as often as they may be. List them, try them again, drop them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from job_item.job import is_task_id
from worker.api.answers import documented
from worker.api.faults import Refusal
from worker.api.jobs import TaskId
from worker.api.models import DeadAnswer, DeadList, DeadOrder
from worker.api.show import show_letter
from worker.api.site import desk_of

router = APIRouter(tags=["dead letters"])
LIMIT = 1_000


@router.get("/dead", summary="List the dead letters", responses=documented())
async def list_dead(
    request: Request, limit: Annotated[int, Query(ge=1, le=LIMIT, description="How many at most.")] = 100
) -> DeadList:
    """List jobs that were tried as often as they may be: of this node, and with `delivery: durable` of its project."""
    return DeadList(dead=[show_letter(letter) for letter in await desk_of(request).dead(limit)])


@router.get("/dead/{task_id}", summary="Look at a dead letter", responses=documented(404))
async def look(request: Request, task_id: TaskId) -> DeadAnswer:
    """Show one dead letter with the data of its job."""
    for letter in await desk_of(request).dead(LIMIT):
        if letter.task_id == task_id:
            return show_letter(letter)
    raise _unknown(task_id)


@router.post("/dead/{task_id}/retry", summary="Try a dead letter again", responses=documented(404))
async def retry(request: Request, task_id: TaskId) -> DeadOrder:
    """Put the job back into its queue, with all its attempts before it."""
    if not (is_task_id(task_id) and await desk_of(request).retry_dead(task_id)):
        raise _unknown(task_id)
    return DeadOrder(status="ok", task_id=task_id)


@router.post("/dead/{task_id}/drop", summary="Drop a dead letter", responses=documented(404))
async def drop(request: Request, task_id: TaskId) -> DeadOrder:
    """Let it go for good."""
    if not (is_task_id(task_id) and await desk_of(request).drop_dead(task_id)):
        raise _unknown(task_id)
    return DeadOrder(status="ok", task_id=task_id)


def _unknown(task_id: str) -> Refusal:
    named = f"There is no dead letter {task_id}." if is_task_id(task_id) else None
    return Refusal(404, "ERR-DLV-006", named)
