"""The application of the local API, built when this module is imported.

Importing starts nothing: no thread, no socket, no loop; the forkserver preloads it, so whatever can be made before a
request comes is made here. What a request needs of its node comes with the request (`worker.api.site`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from job_item import __version__
from job_item.without import without
from worker.api.faults import CREATE_PATH, Shield, on_bad_parameter, on_http_exception
from worker.api.guard import Guard
from worker.api.rehearsal import rehearse
from worker.api.segments import Segments

with without("pydantic.v1"):  # FastAPI would load it to see that no model is of that kind: 25 ms and 1.5 MB
    from worker.api import dead, execs, health, jobs, logs, messages, metrics, outbox, page, records, reload, share

ABOUT = """Run jobs on this node, watch their output, see what became of them.

Every error is JSON with `error` (one sentence), `code` (`job_item errors CODE` explains it) and `remedy`.
Where the node has a token, show it as `Authorization: Bearer <token>` or by the path: `/t/<token>/jobs`.
"""


class Api(FastAPI):
    """The application, with a description that says what is true of this API only."""

    def openapi(self) -> dict[str, Any]:
        """Describe the API (OpenAPI 3.1): parameters that are wrong are answered with 400 here, never with 422."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    if operation["responses"].get("422", {}).get("description") == "Validation Error":
                        del operation["responses"]["422"]
            components = schema["components"]
            for name in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(name, None)
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{}, {"token": []}]
        return super().openapi()


class Lane:
    """Leads to the one page that is asked thousands of times a second, past layers that cost more than all the rest."""

    def __init__(self, app: ASGIApp, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._app = app
        self._path = path
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["method"] != "POST" or scope["path"] != scope["root_path"] + self._path:
            await self._app(scope, receive, send)
            return
        response = await self._endpoint(Request(scope, receive))
        await response(scope, receive, send)


def build() -> Api:
    """Build the application: its pages, and their description."""
    api = Api(
        title="job_item",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: on_http_exception, RequestValidationError: on_bad_parameter},
    )
    for part in (jobs, dead, messages, share, outbox, logs, records, execs, reload, health, metrics, page):
        # The routes as they are: `include_router` would make each anew when the first request comes (30 ms).
        api.router.routes.extend(part.router.routes)
    api.add_middleware(Shield)
    api.middleware_stack = api.build_middleware_stack()
    return api


_api = build()
app = Shield(Guard(Lane(Segments(_api), CREATE_PATH, jobs.create)))
rehearse(app, _api.routes)
