"""Files of jobs: as one form, or in pieces with tus 1.0.0 (https://tus.io), and their way out again."""

from __future__ import annotations

import base64
import re
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from examples.job_manager.form import receive
from examples.job_manager.gate import Gate
from examples.job_manager.nodes import answer
from examples.job_manager.store import Row, Store

LIMIT_BYTES = 16 << 30
TUS = {"Tus-Resumable": "1.0.0"}
OFFER = {"Tus-Version": "1.0.0", "Tus-Extension": "creation", "Tus-Max-Size": str(LIMIT_BYTES)}


def routes(store: Store, gate: Gate) -> APIRouter:
    """All routes for files; those that scripts ask lie below the task's own."""
    router = APIRouter()
    own = APIRouter(prefix="/api/worker/job_record/file/{task_id}", dependencies=[Depends(gate.script)])

    @own.post("")
    async def take(request: Request, task_id: str) -> Response:
        if store.job(task_id) is None:
            raise HTTPException(404, "unknown task")
        if "tus-resumable" in request.headers:
            return begin(request, task_id)
        file = store.begin_file(task_id)
        try:
            name = await receive(request, store.path(file), LIMIT_BYTES)
        except BaseException:
            store.drop_file(file)
            raise
        return JSONResponse(receipt(request, store.end_file(file, name)))

    @own.options("")
    async def offer() -> Response:
        return Response(None, 204, TUS | OFFER)

    def begin(request: Request, task_id: str) -> Response:
        """Section "Creation" of tus 1.0.0."""
        size, metadata = request.headers.get("upload-length", ""), request.headers.get("upload-metadata", "")
        if not size.isdecimal() or int(size) > LIMIT_BYTES:
            raise HTTPException(413, "the file is too large, or has no size")
        named = re.search(r"\bfilename ([A-Za-z0-9+/=]+)", metadata)
        try:
            name = base64.b64decode(named[1] if named else "").decode(errors="replace")
        except ValueError:
            raise HTTPException(400, "the name is not in base64") from None
        file = store.begin_file(task_id, name, int(size))
        return Response(None, 201, TUS | {"Location": f"{request.url.path}/{file['token']}"})

    @own.head("/{token}")
    async def arrived(task_id: str, token: str) -> Response:
        file = known(task_id, token)
        there = {"Upload-Offset": str(store.path(file).stat().st_size), "Upload-Length": str(file["size"])}
        return Response(None, 200, TUS | there | {"Cache-Control": "no-store"})

    @own.patch("/{token}")
    async def more(request: Request, task_id: str, token: str) -> Response:
        file = known(task_id, token)
        path = store.path(file)
        offset = path.stat().st_size
        if request.headers.get("upload-offset") != str(offset):
            raise HTTPException(409, f"the next byte is {offset}")
        with path.open("ab", buffering=0) as kept:
            async for chunk in request.stream():
                offset += kept.write(chunk[: file["size"] - offset])
        headers = TUS | {"Upload-Offset": str(offset)}
        if offset < file["size"]:
            return Response(None, 204, headers)
        return JSONResponse(receipt(request, store.end_file(file, file["name"])), 200, headers)

    def known(task_id: str, token: str) -> Row:
        file = store.row("SELECT * FROM files WHERE task_id = ? AND token = ?", task_id, token)
        if file is None:
            raise HTTPException(404, "no such upload")
        return file

    @router.get("/files/{number}/{token}/{name}")
    async def download(number: int, token: str) -> Response:
        file = store.row("SELECT * FROM files WHERE id = ? AND token = ? AND sha256 IS NOT NULL", number, token)
        if file is None:
            raise HTTPException(404, "no such file")
        return FileResponse(store.path(file), filename=file["name"], media_type="application/octet-stream")

    router.include_router(own)
    return router


def receipt(request: Request, file: Row) -> dict[str, Any]:
    """The answer to a file (section 1.4)."""
    return answer(
        {
            "file_info": {"id": file["id"], "job_record_uuid": file["task_id"], "file_name": file["name"]},
            "download_url": f"{request.base_url}files/{file['id']}/{file['token']}/{file['name']}",
            "security_notice": "Whoever has this address can read the file.",
            "expiry_notice": "The address is good as long as the file is kept.",
        }
    )
