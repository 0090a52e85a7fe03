"""A file that comes as multipart form with one part `file`, written to the disk as it comes."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import HTTPException, Request

HEAD_LIMIT_BYTES = 16 << 10
_FORM = re.compile(r'multipart/form-data;.*\bboundary="?([^";]+)')
_PART = re.compile(r'name="file".*filename="((?:[^"\\]|\\.)*)"')


async def receive(request: Request, to: Path, limit_bytes: int) -> str:
    """Write the one part of a form to a file; returns the name that it came with. Raises `HTTPException`."""
    form = _FORM.match(request.headers.get("content-type", ""))
    if form is None:
        raise HTTPException(415, "a multipart form with one part `file` is wanted")
    ending = f"\r\n--{form[1]}--".encode()
    head, kept = b"", b""
    with to.open("wb") as file:
        async for chunk in request.stream():
            kept += chunk
            if not head and b"\r\n\r\n" in kept:
                head, _, kept = kept.partition(b"\r\n\r\n")
            if head and len(kept) > 2 * len(ending):  # the end may be cut anywhere
                file.write(kept[: -2 * len(ending)])
                kept = kept[-2 * len(ending) :]
            if len(kept) > len(chunk) + HEAD_LIMIT_BYTES or file.tell() > limit_bytes:
                raise HTTPException(413, "the file, or the head of the form, is too large")
        content, found, _ = kept.rpartition(ending)
        part = _PART.search(head.decode(errors="replace"))
        if not found or part is None:
            raise HTTPException(400, "the form has no part `file`, or no end")
        file.write(content)
    return part[1]
