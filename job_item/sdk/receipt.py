"""What the Job Manager answers to a file (protocol 1.4), read leniently: every member may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from job_item.errors import NodeError
from job_item.sdk.answer import Answer, origin, shown


@dataclass(frozen=True, slots=True)
class Receipt:
    """A file has arrived; with `is_waiting` it is with the node, for the Job Manager was away.

    `file_info`: what is kept of it (`id`, `job_record_uuid`, `file_name`); `location`: the address of a resumable
    upload, where it was one; `answer`: the whole document, None where the server sent none.
    """

    path: str
    size_bytes: int
    download_url: str | None = None
    security_notice: str | None = None
    expiry_notice: str | None = None
    file_info: Mapping[str, Any] = field(default_factory=dict)
    location: str | None = None
    answer: Any = None
    is_waiting: bool = False


def read_receipt(answer: Answer, url: str, path: str, size_bytes: int) -> Receipt:
    """Read the answer to a file.

    Raises `NodeError`: ERR-REP-010 (no JSON), ERR-REP-003 (the document itself says that it failed).
    """
    try:
        document = answer.document()
    except (ValueError, RecursionError) as error:
        raise NodeError(
            "ERR-REP-010", f"{origin(url)} answers {answer.status} to {path}, but with no JSON: {_beginning(answer)}."
        ) from error
    members = _members(document)
    code = members.get("status_code")
    if isinstance(code, int) and code >= 400:
        words = next((str(members[name]) for name in ("error", "message", "return", "status") if members.get(name)), "")
        raise NodeError("ERR-REP-003", f"{origin(url)} refuses {path}: {shown(f'{code} {words}')}.")
    said = _members(members.get("return"))
    return Receipt(
        path,
        size_bytes,
        _text(said.get("download_url")),
        _text(said.get("security_notice")),
        _text(said.get("expiry_notice")),
        _members(said.get("file_info")),
        answer=document,
    )


def _members(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _beginning(answer: Answer) -> str:
    text = shown(answer.body[:200].decode(errors="replace"))
    return f"`{text}`" if text else "the answer is empty"
