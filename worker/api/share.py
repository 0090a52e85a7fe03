"""Share data: texts that a job's scripts, and execs, leave for each other."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request

from job_item.environ import SHARE_PATH
from job_item.errors import BadMessage
from job_item.job import is_task_id
from worker.api.answers import documented
from worker.api.body import read_json
from worker.api.faults import Refusal
from worker.api.jobs import TaskId
from worker.api.segments import with_slashes
from worker.api.site import desk_of

TTL_LIMIT_S = 1e9

router = APIRouter(tags=["share data"])

Ttl = Annotated[
    float | None,
    Field(ge=0, le=TTL_LIMIT_S, allow_inf_nan=False, description="Seconds until it is gone; 0 or none: no such time."),
]


ShareKey = Annotated[str, Path(description="The key, as it was added."), AfterValidator(with_slashes)]


class ShareRequest(BaseModel):
    """A text to add under a key. `ttl` is another name of `ttl_seconds`, which wins where both are there."""

    model_config = ConfigDict(strict=True)

    key: str = Field(min_length=1)
    data: str = Field(min_length=1)
    ttl_seconds: Ttl = None
    ttl: Ttl = None


class ShareAnswer(BaseModel):
    """A text was added, durably."""

    status: Literal["ok"]
    key: str
    task_id: str


class SharedAnswer(ShareAnswer):
    """The texts under a key, in the order of their addition; what has expired is left out."""

    data: list[str]


@router.post(
    SHARE_PATH + "/{task_id}",
    summary="Share a text",
    responses=documented(404),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": ShareRequest.model_json_schema()}}}
    },
)
async def add(request: Request, task_id: TaskId) -> ShareAnswer:
    """Add a text to those under a key of a task. The next attempts of the task find it too.

    It goes when its time is over, and some hours after the end of its task at the latest. The id may be of no task:
    then it goes some hours after the last addition.
    """
    wanted = await read_json(request, ShareRequest)
    if not is_task_id(task_id):
        raise BadMessage("ERR-JOB-003", "This is not acceptable as a task id.")
    ttl_s = wanted.ttl if wanted.ttl_seconds is None else wanted.ttl_seconds
    await desk_of(request).share(task_id, wanted.key, wanted.data, ttl_s or None)
    return ShareAnswer(status="ok", key=wanted.key, task_id=task_id)


@router.get(SHARE_PATH + "/{task_id}/{key:path}", summary="Get what is shared", responses=documented(404))
async def get(request: Request, task_id: TaskId, key: ShareKey) -> SharedAnswer:
    """Get the texts under a key of a task, oldest first."""
    texts = desk_of(request).shared(task_id, key)
    if not texts:
        raise Refusal(404, "ERR-JOB-012", "not found")
    return SharedAnswer(status="ok", key=key, task_id=task_id, data=list(texts))
