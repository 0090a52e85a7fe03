"""A file that comes as multipart form with one part `file`, written to the disk as it comes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.exceptions import HTTPException

HEAD_LIMIT_BYTES = 1 << 14
_FILE_NAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"')


async def receive(content_type: str, chunks: AsyncIterator[bytes], to: Path, limit_bytes: int) -> str:
    """Write the one part of a form to a file; returns the base name that it came with. Raises `HTTPException`."""
    kind, _, rest = content_type.partition("boundary=")
    boundary = rest.partition(";")[0].strip().strip('"')
    if not kind.startswith("multipart/form-data") or not boundary:
        raise HTTPException(415, "a multipart form with one part `file` is wanted")
    ending = f"\r\n--{boundary}--".encode()
    head, kept, written = b"", b"", 0
    with to.open("wb") as file:
        async for chunk in chunks:
            if b"\r\n\r\n" not in head:
                head += chunk
                if len(head) > HEAD_LIMIT_BYTES + len(chunk):
                    raise HTTPException(400, "the head of the form is too long")
                kept = head.partition(b"\r\n\r\n")[2]
            else:
                kept += chunk
            written += file.write(kept[: -2 * len(ending)])  # the end may be cut anywhere
            kept = kept[-2 * len(ending) :]
            if written > limit_bytes:
                raise HTTPException(413, "the file is too large")
        last = kept.rfind(ending)
        if last < 0:
            raise HTTPException(400, "the form has no end")
        file.write(kept[:last])
    headers = head.partition(b"\r\n\r\n")[0].decode(errors="replace")
    named = _FILE_NAME.search(headers)
    if 'name="file"' not in headers or named is None:
        raise HTTPException(400, "the form has no part `file`")
    return named[1].replace("\\", "/").rpartition("/")[2] or "file"
