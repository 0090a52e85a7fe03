"""Which statuses a route may answer, for its documentation: complete, so that a fuzzer finds no other."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from worker.api.models import Problem

Documented = dict[int | str, dict[str, Any]]

_TEXT = {"type": "string"}
EVENTS = {
    "schema": {
        "title": "Event",
        "description": "One event of the stream; `data` is JSON.",
        "type": "object",
        "properties": {"event": _TEXT, "data": _TEXT, "id": _TEXT},
    }
}
"""What a stream of server-sent events holds."""

_SAID = {
    400: "A parameter or the body is not acceptable.",
    401: "The token of this node is needed.",
    403: "The request comes from a foreign web page or names a foreign host.",
    404: "There is no such page, job, attempt or exec, or nothing is shared there.",
    408: "The request did not come in time.",
    409: "The order cannot be carried out as things stand.",
    413: "The body of the request is too large.",
    416: "There is nothing in this range.",
    431: "The head of the request is too large.",
    500: "The node is at fault.",
    503: "The queue is full, the node is stopping, or too many connections are open.",
}
_ALWAYS = (400, 401, 403, 408, 413, 431, 500, 503)


def documented(*statuses: int, shape: type[BaseModel] = Problem) -> Documented:
    """List the errors of a route: those that every route has, and `statuses`; `shape` is the model of its errors."""
    return {status: {"model": shape, "description": _SAID[status]} for status in sorted({*_ALWAYS, *statuses})}
