"""Reading the settings again."""

from __future__ import annotations

import stat
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from job_item import orders
from worker.api.answers import documented
from worker.api.body import read_json
from worker.api.faults import Refusal, order_refused, problem
from worker.api.nodemodels import ReloadAnswer, ReloadProblem, ReloadRequest
from worker.api.show import show_report
from worker.api.site import desk_of

router = APIRouter(tags=["node"])

_DOCUMENTED = documented(409) | {
    422: {"model": ReloadProblem, "description": "The settings have faults; the old ones stay in force."}
}


@router.post(
    "/reload",
    summary="Read the settings again",
    response_model=ReloadAnswer,
    responses=_DOCUMENTED,
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": ReloadRequest.model_json_schema()}}}},
)
async def reload(request: Request) -> JSONResponse:
    """Read the configuration again and bring into force what has changed; with `plan` only say what that would be.

    An empty body is as good as `{}`.
    """
    wanted = await read_json(request, ReloadRequest, empty=b"{}")
    if wanted.candidate is not None:
        refuse_unless_file(wanted.candidate)
    report = await desk_of(request).reload(is_dry=wanted.plan, candidate=wanted.candidate)
    if isinstance(report, orders.Refusal):
        raise order_refused(report)
    answer = show_report(report, is_dry=wanted.plan).model_dump()
    if not report.faults:
        return JSONResponse(answer)
    count = len(report.faults)
    said = f"The settings have {count} fault{'' if count == 1 else 's'}: {report.faults[0]}"
    return JSONResponse(problem(Refusal(422, "ERR-API-016", said), request.scope["path"]) | answer, 422)


def refuse_unless_file(candidate: str) -> None:
    """Raise `Refusal` for a candidate that is no plain file: a pipe or device would hold up whoever reads it."""
    try:
        is_file = stat.S_ISREG(Path(candidate).stat().st_mode)
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        raise Refusal(400, "ERR-API-007", f"The candidate {candidate!r} is no file that the node can read.")
