"""What people ask: a page of jobs, and the JSON that it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, PlainTextResponse

from examples.job_manager.board import Board
from examples.job_manager.gate import Gate
from examples.job_manager.nodes import Document
from examples.job_manager.settings import Settings
from examples.job_manager.store import Row, Store

PAGE = Path(__file__).with_name("page.html")
POLICY = {"Content-Security-Policy": "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"}
COUNTS = "SELECT status, count(*) AS n FROM jobs GROUP BY status"
NEWEST = "SELECT task_id, event, status, host, created_at, began_at, ended_at FROM jobs ORDER BY number DESC LIMIT 100"


def routes(settings: Settings, store: Store, gate: Gate, board: Board) -> APIRouter:
    """All routes for people."""
    router = APIRouter(dependencies=[Depends(gate.person)])

    def known(task_id: str) -> Row:
        if (job := store.job(task_id)) is None:
            raise HTTPException(404, "unknown task")
        return job

    @router.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(), headers=POLICY)

    @router.get("/api/overview")
    async def overview() -> dict[str, Any]:
        return {
            "project": settings.project.name,
            "broker": board.bus.is_up,
            "events": sorted(settings.events()),
            "counts": {row["status"]: row["n"] for row in store.rows(COUNTS)},
            "jobs": store.rows(NEWEST),
            "reports": store.rows("SELECT * FROM reports ORDER BY subject, host_id"),
        }

    @router.post("/api/jobs")
    async def create(asked: Document) -> dict[str, Any]:
        try:
            return {"task_id": await board.create(str(asked.get("event")), asked.get("data") or {})}
        except KeyError as error:
            raise HTTPException(404, f"no event {error}") from error

    @router.get("/api/jobs/{task_id}")
    async def job(task_id: str) -> Row:
        return known(task_id)

    @router.get("/api/jobs/{task_id}/output")
    async def output(task_id: str) -> PlainTextResponse:
        return PlainTextResponse(store.output(task_id), headers={"X-Content-Type-Options": "nosniff"})

    @router.post("/api/jobs/{task_id}/ping")
    async def ping(task_id: str) -> dict[str, Any]:
        return {"heard": await board.ping(known(task_id)["task_id"])}

    @router.post("/api/jobs/{task_id}/{action}")
    async def end(task_id: str, action: str) -> dict[str, Any]:
        if action not in ("terminate", "timeout"):
            raise HTTPException(404, "terminate, timeout or ping")
        await board.end(known(task_id)["task_id"], action)
        return {"status": "asked"}

    @router.post("/api/restart")
    async def restart() -> dict[str, Any]:
        return {"heard": await board.restart()}

    return router
