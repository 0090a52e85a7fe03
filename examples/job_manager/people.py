"""What people ask: a page of jobs, and the JSON that it is made of."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from examples.job_manager.board import Board
from examples.job_manager.bus import Bus
from examples.job_manager.gate import Gate
from examples.job_manager.settings import Settings
from examples.job_manager.store import Store
from examples.job_manager.workers import read_json

PAGE = Path(__file__).with_name("page.html")
SHOWN = 100


def routes(settings: Settings, store: Store, gate: Gate, board: Board, bus: Bus) -> APIRouter:
    """All routes for people."""
    router = APIRouter(dependencies=[Depends(gate.pass_person)])

    @router.get("/")
    async def page() -> Response:
        policy = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
        return HTMLResponse(PAGE.read_text(), headers={"Content-Security-Policy": policy})

    @router.get("/api/overview")
    async def overview() -> Response:
        about = {"project": settings.project.name, "broker": bus.is_up, "events": sorted(settings.events())}
        return JSONResponse({**about, "counts": store.counts(), "jobs": store.jobs(SHOWN), "reports": store.reports()})

    @router.post("/api/jobs")
    async def create(request: Request) -> Response:
        asked = await read_json(request)
        try:
            return JSONResponse({"task_id": await board.create(str(asked.get("event")), asked.get("data") or {})})
        except KeyError as error:
            raise HTTPException(404, f"no event {error}") from error

    @router.get("/api/jobs/{task_id}")
    async def job(task_id: str) -> Response:
        found = store.job(task_id)
        if found is None:
            raise HTTPException(404, "unknown task")
        return JSONResponse(found)

    @router.get("/api/jobs/{task_id}/output")
    async def output(task_id: str) -> Response:
        return Response(store.output(task_id), media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})

    @router.post("/api/jobs/{task_id}/{action}")
    async def act(task_id: str, action: str) -> Response:
        if store.job(task_id) is None:
            raise HTTPException(404, "unknown task")
        if action == "ping":
            return JSONResponse({"heard": await board.ping(task_id)})
        if action not in ("terminate", "timeout"):
            raise HTTPException(404, "terminate, timeout or ping")
        await board.end(task_id, action)
        return JSONResponse({"status": "asked"})

    @router.post("/api/restart")
    async def restart() -> Response:
        return JSONResponse({"heard": await board.restart()})

    return router
