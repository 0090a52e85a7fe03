"""The first answer of each page, given to nobody: FastAPI works some things out at a page's first answer only.

Done when the application is imported, it costs no successor of a job child anything (measured: 5 ms).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message

from job_item.errors import Unavailable
from worker.api.site import Site


class NobodysDesk:
    """A desk with nobody behind it; pages that need none answer all the same."""

    def __getattr__(self, name: str) -> NoReturn:
        raise Unavailable("ERR-API-011", f"Nobody is here for {name}.")


def rehearse(app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
    """Ask every page of the description once. That needs neither loop nor thread: pages wait for their desk only."""
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _ask(app, method, route.path)


def _ask(app: ASGIApp, method: str, path: str) -> None:
    site = Site(NobodysDesk(), None, None, None)  # type: ignore[arg-type]  # no page gets as far as to use it
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": None,
        "client": None,
        "state": {"site": site},
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        return

    next(app(scope, receive, send).__await__(), None)  # a page that does wait is left there
