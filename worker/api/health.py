"""The node itself: who it is, whether it takes jobs, which settings are in force."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from worker.api.answers import documented
from worker.api.models import HealthAnswer, Process, ReadinessAnswer, Welcome
from worker.api.show import (
    show_broker,
    show_job_api,
    show_manager,
    show_outbox,
    show_settings,
    show_update,
    show_versions,
)
from worker.api.site import desk_of

router = APIRouter(tags=["node"])

LINKS = {
    "documentation": "docs",
    "description": "openapi.json",
    "jobs": "jobs",
    "execs": "execs",
    "health": "healthz",
    "readiness": "readyz",
    "metrics": "metrics",
}


@router.get("/", summary="Say hello", responses=documented())
async def welcome() -> Welcome:
    """Say that a node is here, and where to go on."""
    return Welcome(message="This is a job_item node.", links=LINKS)


@router.get("/healthz", summary="Who this node is", responses=documented())
async def healthz(request: Request) -> HealthAnswer:
    """Show version, identity, processes and settings; whoever gets this answer knows that the job child lives."""
    desk = desk_of(request)
    health = desk.health()
    return HealthAnswer(
        version=health.version,
        identity=health.identity,
        uptime_s=round(health.uptime_s, 3),
        supervisor=Process(pid=health.supervisor_pid),
        worker=Process(pid=health.worker_pid),
        execs=Process(pid=health.execs_pid),
        broker=show_broker(health.broker),
        reefguide=show_job_api(health.reefguide),
        outbox=show_outbox(health.outbox),
        counts=desk.counts(),
        slots=desk.slots(),
        settings=show_settings(health.settings),
        manager=show_manager(health.settings.manager),
        update=show_update(health.settings.manager),
        versions=show_versions(health.updates, health.channel),
    )


@router.get(
    "/readyz",
    summary="Whether jobs are taken",
    response_model=ReadinessAnswer,
    responses=documented() | {503: {"model": ReadinessAnswer, "description": "No jobs are taken; `reasons` says why."}},
)
async def readyz(request: Request) -> JSONResponse:
    """Tell whether jobs are taken."""
    readiness = desk_of(request).readiness()
    answer = ReadinessAnswer(ready=readiness.ready, reasons=list(readiness.reasons))
    return JSONResponse(answer.model_dump(), 200 if readiness.ready else 503)
