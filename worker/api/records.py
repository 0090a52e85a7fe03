"""The routes of job records that execs are told of in `JOB_ITEM_LISTEN_*` (protocol job-item.md, section 5.2)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from job_item.job import Status
from worker.api.answers import EVENTS, documented
from worker.api.faults import Refusal, unknown_job
from worker.api.feed import Feed, Position
from worker.api.follow import FollowAnswer
from worker.api.jobs import TaskId, find, show
from worker.api.logs import last_position
from worker.api.models import JobAnswer
from worker.api.notices import Notices
from worker.api.site import desk_of, site_of

router = APIRouter(tags=["job records"])

_DOCUMENTED = documented(404) | {200: {"description": "The events.", "content": {"text/event-stream": EVENTS}}}

Action = Annotated[Literal["timeout", "terminate"], Path(description="The status that the job is to end with.")]


@router.get(
    "/job/listen/job_record/{task_id}/log", summary="Follow a job", response_class=Response, responses=_DOCUMENTED
)
async def listen_log(request: Request, task_id: TaskId) -> Response:
    """Follow all attempts of a job from their first byte on: the events of `/jobs/{task_id}/log?follow=1`."""
    site = site_of(request)
    find(site.desk, task_id)
    position = last_position(request, None) or Position(1, 0)
    feed = Feed(site.desk, task_id, position, "both", only_attempt=False)
    return FollowAnswer(site, site.desk.watch(task_id), feed.pieces())


@router.get(
    "/job/listen/job_record/{task_id}/notif",
    summary="Follow the notifications of a job",
    response_class=Response,
    responses=_DOCUMENTED,
)
async def listen_notif(request: Request, task_id: TaskId) -> Response:
    """Follow what the scripts of a job have to say: `note` with `number`, `at` and `msg`, at last `end` as for the log.

    The `id` of a `note` is its number; give it back as `Last-Event-ID` to go on behind it.
    """
    site = site_of(request)
    find(site.desk, task_id)
    notices = Notices(site.desk, task_id, last_number(request))
    return FollowAnswer(site, site.desk.watch(task_id), notices.pieces())


@router.post("/job/job_record/{task_id}/action/{action}", summary="End a job with a status", responses=documented(404))
async def act(request: Request, task_id: TaskId, action: Action) -> JobAnswer:
    """Ask for the end of a job at whatever stage it is, with this status and no further attempt.

    A job that has ended stays as it is; the first wish for the end of a job counts.
    """
    desk = desk_of(request)
    find(desk, task_id)
    record = await desk.cancel(task_id, Status(action))
    if record is None:
        raise unknown_job(task_id)
    return show(desk, record)


def last_number(request: Request) -> int:
    """Read the number of the last note that a client has got before it lost its connection; 0 for a new client."""
    text = request.headers.get("last-event-id") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Refusal(400, "ERR-API-007", "The header Last-Event-ID is none that this stream has sent.")
    return int(text)
