"""What the API answers, and the shapes of its refusals (protocol reefguide.md, section 4)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LIMIT_BYTES = 102_400
"""A JSON body above this is answered with 500."""


@dataclass(frozen=True)
class Answer:
    """One answer; `body` None is an empty one, text stands for itself, all else is JSON."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    is_html: bool = False

    def raw(self) -> tuple[bytes, str | None]:
        """The bytes, and their content type."""
        if self.body is None:
            return b"", None
        if isinstance(self.body, str):
            return self.body.encode(), "text/html; charset=utf-8" if self.is_html else None
        return json.dumps(self.body, separators=(",", ":")).encode(), "application/json; charset=utf-8"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """Ends the work on a request with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


def domain(status: int, message: str) -> Refusal:
    """A domain error."""
    return Refusal(Answer(status, {"status": status, "message": message}))


def misfit(part: str, *issues: tuple[str, tuple[str, ...], str]) -> Refusal:
    """A schema error of `Body`, `Query` or `Params`."""
    told = [{"code": code, "path": list(path), "message": message} for code, path, message in issues]
    return Refusal(Answer(400, [{"type": part, "errors": {"issues": told, "name": "ZodError"}}]))


def unauthorized() -> Refusal:
    """A bearer that does not count."""
    return Refusal(Answer(401, "Unauthorized"))


def unforeseen() -> Refusal:
    """Anything that the API did not foresee, faults of the client included."""
    return Refusal(Answer(500, {"status": 500, "message": "An unexpected error occurred"}))


def no_route(method: str, path: str) -> Answer:
    """No such route."""
    page = f"<!DOCTYPE html>\n<html><body><pre>Cannot {method} {path}</pre></body></html>\n"
    return Answer(404, page, is_html=True)
