"""Jobs: create, list, look at, cancel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from job_item.job import JobRecord, Status, is_task_id
from job_item.trace import Trace, trace_of
from worker.api.answers import documented
from worker.api.body import read_json
from worker.api.faults import CREATE_PATH, Refusal, unknown_job
from worker.api.models import TASK_ID, CreateAnswer, CreateProblem, CreateRequest, JobAnswer, JobList
from worker.api.show import show_job, summarise
from worker.api.site import desk_of
from worker.desk import Desk, NewJob

router = APIRouter(tags=["jobs"])

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))

TaskId = Annotated[str, Path(description="The id of a job.", json_schema_extra={"pattern": TASK_ID})]


@router.post(
    CREATE_PATH,
    summary="Run a job",
    response_model=CreateAnswer,
    responses=documented(shape=CreateProblem),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": CreateRequest.model_json_schema()}},
        }
    },
)
async def create(request: Request) -> Response:
    """Accept a job durably and run it when its turn comes.

    A task id that is known already is not run twice; with another event or other data it is refused.
    """
    wanted = await read_json(request, CreateRequest)
    echo = dump_request(wanted)
    desk = desk_of(request)
    trace = trace_in(request.scope["headers"])
    record = await desk.create(NewJob(wanted.event, wanted.form_body, wanted.app_id, wanted.task_id, trace))
    head = '{"status":"success","message":"Job created successfully!","job":'
    ids = f',"app_id":{json.dumps(desk.project)},"task_id":"{record.task_id}"}}'
    return Response(head + echo + ids, media_type="application/json")


def trace_in(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """Find the trace context of a request; None where it names none, or two (W3C Trace Context, section 3.2.2)."""
    parents = [value for name, value in headers if name == b"traceparent"]
    if len(parents) != 1:
        return None
    states = [value for name, value in headers if name == b"tracestate"]
    return trace_of(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))


def dump_request(wanted: CreateRequest) -> str:
    """Repeat a request as JSON. Raises `Refusal` where it holds a number that JSON cannot say, such as 1e999."""
    members: dict[str, Any] = {name: getattr(wanted, name) for name in ("app_id", "event", "form_body")}
    if wanted.app_id is None:
        del members["app_id"]
    try:
        return _ENCODER.encode(members)
    except ValueError:
        raise Refusal(400, "ERR-JOB-007", "The body of the request holds a number out of range.") from None


@router.get("/jobs", summary="List jobs", responses=documented())
async def list_jobs(
    request: Request,
    status: Annotated[Status | None, Query(description="Only jobs with this status.")] = None,
    event: Annotated[str | None, Query(description="Only jobs of this event.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    before: Annotated[str | None, Query(pattern=TASK_ID, description="Go on after this job.")] = None,
) -> JobList:
    """List the newest jobs first."""
    records = desk_of(request).jobs(status=status, event=event, before=before, limit=limit)
    following = records[-1].task_id if len(records) == limit else None
    return JobList(jobs=[summarise(record) for record in records], next=following)


@router.get("/jobs/{task_id}", summary="Look at a job", responses=documented(404))
async def look(request: Request, task_id: TaskId) -> JobAnswer:
    """Show all about one job: its attempts, what they used, its notifications."""
    desk = desk_of(request)
    return show(desk, find(desk, task_id))


@router.post("/jobs/{task_id}/cancel", summary="End a job", responses=documented(404))
async def cancel(request: Request, task_id: TaskId) -> JobAnswer:
    """Ask for the end of a job at whatever stage it is. A job that has ended stays as it is."""
    desk = desk_of(request)
    find(desk, task_id)
    record = await desk.cancel(task_id)
    if record is None:
        raise unknown_job(task_id)
    return show(desk, record)


def find(desk: Desk, task_id: str) -> JobRecord:
    """Find a job. Raises `Refusal` where there is none; a text that is no task id never reaches the desk."""
    record = desk.job(task_id) if is_task_id(task_id) else None
    if record is None:
        raise unknown_job(task_id)
    return record


def show(desk: Desk, record: JobRecord) -> JobAnswer:
    """Show a job with what the desk knows beside its record."""
    log = desk.log(record.task_id)
    return show_job(record, log.size() if log else 0, desk.notes(record.task_id))
