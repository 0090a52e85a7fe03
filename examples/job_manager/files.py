"""Files of jobs: as one form, or in pieces with tus 1.0.0 (https://tus.io), and their way out again."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from examples.job_manager.form import receive
from examples.job_manager.gate import Gate
from examples.job_manager.settings import Settings
from examples.job_manager.store import Store
from examples.job_manager.workers import RECORD, know

TUS = {"Tus-Resumable": "1.0.0"}


def routes(settings: Settings, store: Store, gate: Gate) -> APIRouter:
    """All routes for files."""
    router = APIRouter()

    @router.post(RECORD + "/file/{task_id}")
    async def file(request: Request, task_id: str) -> Response:
        gate.pass_script(request)
        know(store, task_id)
        if "tus-resumable" in request.headers:
            return begin_upload(request, task_id)
        came = store.files / f"{uuid4()}.form"
        try:
            name = await receive(request.headers.get("content-type", ""), request.stream(), came, settings.file_limit)
            return JSONResponse(receipt(request, store.add_file(task_id, name, came)))
        finally:
            came.unlink(missing_ok=True)

    @router.options(RECORD + "/file/{task_id}")
    async def offer(request: Request) -> Response:
        gate.pass_script(request)
        offered = {"Tus-Version": "1.0.0", "Tus-Extension": "creation", "Tus-Max-Size": str(settings.file_limit)}
        return Response(None, 204, TUS | offered)

    def begin_upload(request: Request, task_id: str) -> Response:
        """Section "Creation" of tus 1.0.0 (https://tus.io)."""
        size, metadata = request.headers.get("upload-length", ""), request.headers.get("upload-metadata", "")
        words = metadata.split()
        try:
            name = base64.b64decode(words[words.index("filename") + 1]).decode(errors="replace")
        except (ValueError, IndexError, binascii.Error):
            name = "file"
        if not size.isdecimal() or int(size) > settings.file_limit:
            raise HTTPException(413, "the file is too large, or has no size")
        token = store.add_upload(task_id, name.rpartition("/")[2] or "file", int(size))
        return Response(None, 201, TUS | {"Location": f"{request.url.path}/{token}"})

    @router.head(RECORD + "/file/{task_id}/{token}")
    async def arrived(request: Request, task_id: str, token: str) -> Response:
        gate.pass_script(request)
        part, upload = partial_of(task_id, token)
        offset = {"Upload-Offset": str(part.stat().st_size), "Upload-Length": str(upload["size"])}
        return Response(None, 200, TUS | offset | {"Cache-Control": "no-store"})

    @router.patch(RECORD + "/file/{task_id}/{token}")
    async def more(request: Request, task_id: str, token: str) -> Response:
        gate.pass_script(request)
        part, upload = partial_of(task_id, token)
        offset = part.stat().st_size
        if request.headers.get("upload-offset") != str(offset):
            raise HTTPException(409, f"the next byte is {offset}")
        with part.open("ab", buffering=0) as kept:
            async for chunk in request.stream():
                offset += kept.write(chunk[: upload["size"] - offset])
        if offset < upload["size"]:
            return Response(None, 204, TUS | {"Upload-Offset": str(offset)})
        done = receipt(request, store.add_file(task_id, upload["name"], part))
        return JSONResponse(done, 200, TUS | {"Upload-Offset": str(offset)})

    @router.get("/files/{number}/{token}/{name}")
    async def download(number: int, token: str) -> Response:
        row = store.file(number)
        if row is None or row["token"] != token:
            raise HTTPException(404, "no such file")
        return FileResponse(store.files / str(number), filename=row["name"], media_type="application/octet-stream")

    def partial_of(task_id: str, token: str) -> tuple[Path, dict[str, Any]]:
        upload = store.upload(token)
        part = store.files / f"{token}.part"
        if upload is None or upload["task_id"] != task_id or not part.exists():
            raise HTTPException(404, "no such upload")
        return part, upload

    return router


def receipt(request: Request, row: dict[str, Any]) -> dict[str, Any]:
    """The answer to a file (section 1.4)."""
    return {
        "status": "success",
        "status_code": 200,
        "return": {
            "file_info": {"id": row["id"], "job_record_uuid": row["task_id"], "file_name": row["name"]},
            "download_url": f"{request.base_url}files/{row['id']}/{row['token']}/{row['name']}",
            "security_notice": "Whoever has this address can read the file.",
            "expiry_notice": "The address is good as long as the file is kept.",
        },
    }
