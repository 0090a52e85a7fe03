"""What nodes and the scripts of their jobs ask over HTTP but files (protocol job-item.md, sections 2.4-2.7, 4.4)."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from examples.job_manager.gate import Gate
from examples.job_manager.settings import Settings
from examples.job_manager.store import Store

RESULT_LIMIT_BYTES = 8 << 20
RECORD = "/api/worker/job_record"


def config_of(settings: Settings) -> dict[str, Any]:
    """The answer to a node: everything that this manager knows for it (section 2.5)."""
    project = settings.project
    jobs = [
        {
            "uuid": job.event,
            "event": job.event,
            "name": job.name,
            "data": {"limit_process": job.limit_process, "timeout": job.timeout, "body": ""},
            "nested_jobs": [
                {
                    "nested_job_id": nested.event,
                    "name": nested.name,
                    "event": nested.event,
                    "limit": nested.limit,
                    "timeout": str(nested.timeout),
                }
                for nested in job.nested
            ],
        }
        for job in settings.jobs
    ]
    return {
        "uuid": project.subject,
        "broker_connection": {"key": "main", "name": "main", **settings.broker_connection},
        "project": {"uuid": project.subject, "name": project.name, "status": "active", "job_datas": jobs},
        "job_item_version_number": 3,
        "job_item_version": "v0.1.1",
        "job_item_link": "",
    }


def bundle_of(folder: Path) -> bytes:
    """The files of a folder as ZIP (section 2.7)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for file in sorted(folder.iterdir()):
            bundle.write(file, file.name)
    return packed.getvalue()


def routes(settings: Settings, store: Store, gate: Gate) -> APIRouter:
    """All routes for nodes and scripts."""
    router = APIRouter()

    @router.post("/api/worker/config")
    async def config(request: Request) -> Response:
        asked = await read_json(request)
        gate.pass_node(asked.get("project_id"), asked.get("secret_key"))
        return JSONResponse({"status": "success", "status_code": 200, "return": config_of(settings)})

    @router.post("/api/worker/config/tls/download")
    async def tls(request: Request) -> Response:
        asked = await read_json(request)
        gate.pass_node(asked.get("app_id"), asked.get("app_secret"))
        if settings.tls_bundle is None:
            raise HTTPException(404, "there is no bundle")
        return Response(bundle_of(settings.tls_bundle), media_type="application/zip")

    @router.post(RECORD + "/result/{task_id}")
    async def result(request: Request, task_id: str) -> Response:
        gate.pass_script(request)
        document = await read_json(request)
        know(store, task_id)
        if not isinstance(document.get("status"), str):
            raise HTTPException(400, "a result has a status")
        store.add_result(task_id, json.dumps(document, sort_keys=True))
        return JSONResponse({"status": "success", "status_code": 200, "return": {"task_id": task_id}})

    return router


def know(store: Store, task_id: str) -> None:
    """Go on for a task that there is. Raises `HTTPException`."""
    if store.job(task_id) is None:
        raise HTTPException(404, "unknown task")


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries, within bounds. Raises `HTTPException`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > RESULT_LIMIT_BYTES:
            raise HTTPException(413, "too large")
    try:
        document = json.loads(bytes(body))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise HTTPException(400, "a JSON object is wanted")
    return document
