"""Every failure of the API as JSON: one sentence, a code of the register and what to do, never a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job_item import log, orders
from job_item.codes import REGISTER
from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.job import is_task_id

RETRY_AFTER_S = 5
"""When a client may come back that was sent away because the node is full or stopping."""

CREATE_PATH = "/job/create"


_LINGER_BYTES = 16 << 20
_LINGER_S = 2.0


class Refusal(NodeError):  # noqa: N818 - a refusal is the answer that was meant
    """A request that is answered with an error.

    Parameters: `status`, the HTTP status; `code`, a key of the register; `message`, where the register's meaning is too
    general; `headers` of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code, message or REGISTER[code].meaning)
        self.status = status
        self.headers = dict(headers or {})


class LastAnswer(JSONResponse):
    """An answer after which the connection ends, though the client may still be speaking.

    Closing a connection with unread bytes in it may destroy the answer before the client has read it; so the client
    may finish first, within bounds.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, let the client finish, then end (ASGI)."""

        async def send_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await super().__call__(scope, receive, send_open)
        left = _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while left > 0 and (message := await receive()).get("more_body"):
                    left -= len(message["body"])
        await send({"type": "http.response.body"})


def unknown_job(task_id: str) -> Refusal:
    """Say that there is no such job; the id is repeated only if it is one."""
    named = f"There is no job {task_id} on this node." if is_task_id(task_id) else None
    return Refusal(404, "ERR-JOB-006", named)


def order_refused(refusal: orders.Refusal) -> NodeError:
    """Make the failure of an order: the parent refuses what cannot be done now, a room what makes no sense there."""
    if refusal.code.startswith("ERR-SUP-"):
        return Unavailable(refusal.code, refusal.message)
    return Refusal(409, refusal.code, refusal.message)


def problem(fault: NodeError, path: str) -> dict[str, Any]:
    """Make the body of an error.

    Its members `error` (notifications) resp. `status` and `message` (`/job/create`) are those of protocol job-item.md,
    section 7; `code` and `remedy` are ours.
    """
    entry = REGISTER.get(fault.code)
    remedy = fault.remedy or (entry.remedy if entry else "")
    body: dict[str, Any] = {"error": fault.message, "code": fault.code, "remedy": remedy}
    if path.endswith(CREATE_PATH):
        body |= {"status": "error", "message": fault.message}
    return body


def answer(fault: NodeError, path: str) -> JSONResponse:
    """Make the answer for a failure that happened at `path`."""
    headers: dict[str, str] = {}
    status = 500
    match fault:
        case Refusal():
            status, headers = fault.status, fault.headers
        case BadMessage():
            status = 400
        case Unavailable():
            status, headers = 503, {"retry-after": str(RETRY_AFTER_S)}
    kind = LastAnswer if "connection" in headers else JSONResponse
    return kind(problem(fault, path), status, headers)


async def on_http_exception(request: Request, fault: Exception) -> JSONResponse:
    """Answer what the router finds: no such page, no such method."""
    assert isinstance(fault, HTTPException)  # noqa: S101 - registered for this class
    code = {404: "ERR-API-001", 405: "ERR-API-002"}.get(fault.status_code, "ERR-API-007")
    return answer(Refusal(fault.status_code, code, headers=fault.headers), request.scope["path"])


async def on_bad_parameter(request: Request, fault: Exception) -> JSONResponse:
    """Answer parameters that are not as documented, all of them at once."""
    assert isinstance(fault, RequestValidationError)  # noqa: S101 - registered for this class
    said = "; ".join(f"{error['loc'][-1]}: {error['msg']}" for error in fault.errors())
    return answer(Refusal(400, "ERR-API-007", f"A parameter is not acceptable: {said}."), request.scope["path"])


class Shield:
    """The layer that answers every failure, known or not; what nobody expected is logged as a fault of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            fault = error if isinstance(error, NodeError) else unexpected(error, scope)
            if started:
                raise fault from error  # too late for an answer: the server cuts the connection
            await answer(fault, scope["path"])(scope, receive, send)


def unexpected(error: Exception, scope: Scope) -> Refusal:
    """Log what should not have happened; the client learns only that it did."""
    fault = Refusal(500, "ERR-API-011")
    log.get("worker").error(
        "request.failed", code=fault.code, method=scope["method"], path=scope["path"], exc_info=error
    )
    return fault
