"""What nodes and the scripts of their jobs ask over HTTP but files (protocol job-item.md, sections 2.4-2.7, 4.4)."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from examples.job_manager.gate import Gate
from examples.job_manager.settings import Job, Settings
from examples.job_manager.store import Store

BODY_LIMIT_BYTES = 8 << 20


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries, within bounds. Raises `HTTPException`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise HTTPException(413, "too large")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise HTTPException(400, "a JSON object is wanted")
    return document


Document = Annotated[dict[str, Any], Depends(read_json)]


def answer(content: dict[str, Any]) -> dict[str, Any]:
    """The form of all answers to nodes and scripts (section 1.4)."""
    return {"status": "success", "status_code": 200, "return": content}


def job_data(job: Job) -> dict[str, Any]:
    """A registered event as nodes are told of it (section 2.5)."""
    nested = [each.model_dump() | {"nested_job_id": each.event, "timeout": str(each.timeout)} for each in job.nested]
    bounds = {"limit_process": job.limit_process, "timeout": job.timeout, "body": ""}
    return {"uuid": job.event, "event": job.event, "name": job.name, "data": bounds, "nested_jobs": nested}


def bundle_of(folder: Path) -> bytes:
    """The files of a folder as ZIP (section 2.7)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for file in sorted(folder.iterdir()):
            bundle.write(file, file.name)
    return packed.getvalue()


def routes(settings: Settings, store: Store, gate: Gate) -> APIRouter:
    """All routes for nodes and results."""
    router, project = APIRouter(), settings.project

    @router.post("/api/worker/config")
    async def config(asked: Document) -> dict[str, Any]:
        gate.node(asked.get("project_id"), asked.get("secret_key"))
        jobs = [job_data(job) for job in settings.jobs]
        return answer(
            {
                "uuid": project.subject,
                "broker_connection": {"key": "main", "name": "main", **settings.broker_connection},
                "project": {"uuid": project.subject, "name": project.name, "status": "active", "job_datas": jobs},
                "job_item_version_number": 3,
                "job_item_version": "v0.1.1",
                "job_item_link": "",
            }
        )

    @router.post("/api/worker/config/tls/download")
    async def tls(asked: Document) -> Response:
        gate.node(asked.get("app_id"), asked.get("app_secret"))
        if settings.tls_bundle is None:
            raise HTTPException(404, "there is no bundle")
        return Response(bundle_of(settings.tls_bundle), media_type="application/zip")

    @router.post("/api/worker/job_record/result/{task_id}", dependencies=[Depends(gate.script)])
    async def result(task_id: str, document: Document) -> dict[str, Any]:
        if store.job(task_id) is None:
            raise HTTPException(404, "unknown task")
        if not isinstance(document.get("status"), str):
            raise HTTPException(400, "a result has a status")
        store.add_result(task_id, json.dumps(document, sort_keys=True))
        return answer({"task_id": task_id})

    return router
