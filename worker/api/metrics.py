"""Metrics for Prometheus, under the same rules of access as every other page."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from worker.api.answers import documented
from worker.api.site import desk_of
from worker.metrics.exposition import CONTENT_TYPE, write
from worker.metrics.families import families

router = APIRouter(tags=["node"])


@router.get("/metrics", summary="Metrics", response_class=PlainTextResponse, responses=documented())
async def metrics(request: Request) -> PlainTextResponse:
    """Show what the node counts and measures, as text that Prometheus reads (version 0.0.4 of its format)."""
    observation = await desk_of(request).observe()
    return PlainTextResponse(write(families(observation)), headers={"content-type": CONTENT_TYPE})
