"""Paths whose segments may hold a slash: an encoded one (`%2F`) is part of its segment, as RFC 3986 (section 2.2) says.

Servers decode the whole path before a route is looked up, so that it could not be told from one that parts segments.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_STAND_IN = "\ufdd0"
"""Stands for such a slash while the route is looked up: no character, and so part of no key (Unicode, section 23.7)."""


def with_slashes(segment: str) -> str:
    """Give a segment of a path its slashes back."""
    return segment.replace(_STAND_IN, "/")


class Segments:
    """Keeps encoded slashes within their segments."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        raw: bytes = scope.get("raw_path") or b""
        if b"%2f" in raw.lower():
            segments = raw.partition(b"?")[0].decode("ascii", "replace").split("/")
            scope = {**scope, "path": "/".join(unquote(segment).replace("/", _STAND_IN) for segment in segments)}
        await self._app(scope, receive, send)
