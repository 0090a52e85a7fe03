"""What a server answered, and how a refusal is put into words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from job_item.errors import BadMessage, NodeError, Unavailable

_SHOWN_CHARACTERS = 500
_GATEWAY = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. `body` holds its first MiB at most; the names of `headers` are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300

    def document(self) -> Any:
        """The JSON in it. Raises ValueError where there is none."""
        return json.loads(self.body)


def refusal(answer: Answer, url: str, what: str) -> NodeError:
    """Make the error that a refusing answer says."""
    kind = BadMessage if answer.status in (400, 413, 422) else NodeError
    remedy = None
    if answer.status in (401, 403):
        remedy = "Check the key of the project (credential.secret_key in the node's settings)."
    elif 300 <= answer.status < 400:
        remedy = f"It sends us on to {shown(answer.headers.get('location', 'nowhere'))}; use that address."
    return kind("ERR-REP-003", f"{origin(url)} refuses {what}: {said_by(answer)}.", remedy)


class Failing(Unavailable):
    """The server itself answers, and fails: with 5xx, but not as a gateway does whose server is away."""


def unavailable(url: str, what: str, reason: str, attempts: int, answered: Answer | None = None) -> Unavailable:
    """Make the error of a server that could not be had; `answered` is what it said at last, if it said anything."""
    tried = f" ({attempts} tries)" if attempts > 1 else ""
    kind = Failing if answered is not None and answered.status not in _GATEWAY else Unavailable
    return kind("ERR-REP-004", f"{what[:1].upper()}{what[1:]} could not be sent: {origin(url)} {reason}{tried}.")


def said_by(answer: Answer) -> str:
    """Status and words of an answer: the sentence of a JSON document, else the text itself, cut."""
    try:
        document = answer.document()
        members = document if isinstance(document, dict) else {}
        words = next((str(members[name]) for name in ("error", "message", "return") if members.get(name)), "")
    except (ValueError, RecursionError):
        words = answer.body[: _SHOWN_CHARACTERS * 4].decode(errors="replace")
    reason = answer.reason or _phrase(answer.status)
    return shown(f"{answer.status} {reason}" + (f", {words.strip().rstrip('.')}" if words.strip() else ""))


def shown(text: str) -> str:
    """Foreign text on one line, without what a terminal would obey, cut."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 2 * _SHOWN_CHARACTERS]).split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "..."


def origin(url: str) -> str:
    """Scheme, host and port of an address; the rest may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
