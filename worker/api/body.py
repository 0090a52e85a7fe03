"""The body of a request, read within bounds."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from worker.api.faults import Refusal
from worker.api.guard import BODY_LIMIT_BYTES, too_large

Shape = TypeVar("Shape", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """Read the whole body. Raises `Refusal` where it is too large; the connection sees to it that it comes in time."""
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message["body"])
        size_bytes += len(message["body"])
        if size_bytes > BODY_LIMIT_BYTES:
            raise too_large()
        if not message["more_body"]:
            return b"".join(chunks)


async def read_json(request: Request, shape: type[Shape], *, empty: bytes = b"") -> Shape:
    """Read a JSON body, whatever its content type says (protocol job-item.md, section 7).

    `empty` is what a missing body stands for. Raises `Refusal` that names everything that is wrong with it.
    """
    body = await read_body(request) or empty
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" if fault["loc"] else fault["msg"] for fault in faults)
    raise Refusal(400, "ERR-JOB-007", f"The body of the request is not usable: {said}.")
