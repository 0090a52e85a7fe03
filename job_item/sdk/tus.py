"""Uploads that go on from where they broke off: the protocol tus 1.0.0 with its extension `creation` (https://tus.io).

Used only where the server says that it speaks it. Each section named here is one of that specification.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from job_item.errors import NodeError, Unavailable
from job_item.sdk.answer import Answer, origin, refusal, said_by, unavailable
from job_item.sdk.courier import Courier, LostError
from job_item.sdk.filebody import OpenFile, Stream, Watch
from job_item.sdk.receipt import Receipt, read_receipt

VERSION = "1.0.0"
RESUMABLE_FROM_BYTES = 16 << 20
"""Smaller files are sent anew at once, without asking the server what it can."""
_LOCKED = 423
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Begun:
    """What outlives a process: the address of an upload that was begun, if any, and who keeps that of a new one."""

    location: str | None
    remember: Callable[[str], None]


def is_offered(courier: Courier, url: str, bearer: Mapping[str, str], size_bytes: int) -> bool:
    """Ask whether the server takes an upload of this size so (OPTIONS; `Tus-Version`, `Tus-Extension`)."""
    try:
        answer = courier.send("OPTIONS", url, None, bearer)
    except LostError:
        return False
    most = answer.headers.get("tus-max-size", "")
    return (
        answer.is_success
        and VERSION in _list(answer.headers.get("tus-version", ""))
        and "creation" in _list(answer.headers.get("tus-extension", ""))
        and not (most.isdecimal() and int(most) < size_bytes)
    )


def send_resumable(
    courier: Courier,
    url: str,
    bearer: Mapping[str, str],
    file: OpenFile,
    watch: Watch,
    begun: Begun | None = None,
) -> Receipt:
    """Make an upload and send the file into it, piece by piece where it has to be.

    With `begun` an upload that another process has begun goes on, where the server still knows it. Only failures in a
    row count: where new bytes have arrived, the count begins anew. An answer to the last piece that was lost leaves a
    receipt without the document. Raises as `upload`.
    """
    what = f"the file {file.path}"
    headers = {"Tus-Resumable": VERSION, **bearer}
    location, arrived = _find(courier, url, headers, file, begun) if begun else ("", 0)
    if not location:
        location = _create(courier, url, headers, file, what)
        if begun:
            begun.remember(location)
    if origin(location) != origin(url):
        headers.pop("Authorization")  # the key is for the Job Manager alone
    failures = 0
    answer: Answer | None
    while True:
        try:
            if failures:
                known, arrived = arrived, _ask_offset(courier, location, headers, what)
                failures = 1 if arrived > known else failures
            if arrived == file.size_bytes:
                return Receipt(str(file.path), file.size_bytes, location=location)
            answer = _send_rest(courier, location, headers, file, arrived, watch)
            if answer.is_success and _offset_of(answer) == file.size_bytes:
                return _receipt(answer, location, file)
            if not (answer.is_success or answer.status >= 500 or answer.status in (_CONFLICT, _LOCKED)):
                raise refusal(answer, location, what)
            reason = f"answers {said_by(answer)}"
        except LostError as error:
            reason, answer = error.reason, None
        failures += 1
        if not courier.may_try_again(failures):
            raise unavailable(location, what, reason, failures, answer)


def _find(courier: Courier, url: str, headers: Mapping[str, str], file: OpenFile, begun: Begun) -> tuple[str, int]:
    """The address of an upload that was begun, and how much of it has arrived; no address where there is none."""
    if begun.location is None:
        return "", 0
    shown = dict(headers)
    if origin(begun.location) != origin(url):
        shown.pop("Authorization")
    what = f"the file {file.path}"
    try:
        return begun.location, _ask_offset(courier, begun.location, shown, what)
    except LostError as error:
        raise unavailable(begun.location, what, error.reason, 1) from error
    except Unavailable:
        raise
    except NodeError:
        return "", 0


def _create(courier: Courier, url: str, headers: Mapping[str, str], file: OpenFile, what: str) -> str:
    """Ask for a new upload (section "Creation"); gives its address."""
    name = base64.b64encode(os.fsencode(file.path.name)).decode()
    made = {"Upload-Length": str(file.size_bytes), "Upload-Metadata": f"filename {name}"}
    answer = courier.post(url, lambda: b"", {**headers, **made}, what=what)
    if "location" not in answer.headers:
        raise NodeError("ERR-REP-010", f"{origin(url)} made an upload for {file.path}, but does not say where.")
    return urljoin(url, answer.headers["location"])


def _ask_offset(courier: Courier, location: str, headers: Mapping[str, str], what: str) -> int:
    """Ask how much has arrived (HEAD). Raises `LostError` where that cannot be had now."""
    answer = courier.send("HEAD", location, None, headers)
    offset = _offset_of(answer)
    if answer.is_success and offset is not None:
        return offset
    if answer.status >= 500 or answer.status == _LOCKED:
        raise LostError(f"answers {said_by(answer)}")
    raise refusal(answer, location, what)


def _send_rest(
    courier: Courier, location: str, headers: Mapping[str, str], file: OpenFile, offset: int, watch: Watch
) -> Answer:
    """Send everything from an offset on (PATCH)."""
    more = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    return courier.send("PATCH", location, Stream(file, watch, offset=offset), {**headers, **more})


def _receipt(answer: Answer, location: str, file: OpenFile) -> Receipt:
    """The protocol wants no body in the last answer; one that is there is read as that to a form."""
    path = str(file.path)
    if not answer.body:
        return Receipt(path, file.size_bytes, location=location)
    return replace(read_receipt(answer, location, path, file.size_bytes), location=location)


def _offset_of(answer: Answer) -> int | None:
    text = answer.headers.get("upload-offset", "")
    return int(text) if text.isdecimal() else None


def _list(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")}
