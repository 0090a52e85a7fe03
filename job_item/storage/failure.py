"""What keeps a file from coming or going, in the words of the register."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from job_item.errors import NodeError, Unavailable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_S3_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
_S3_MESSAGE = re.compile(r"<Message>([^<]{1,200})</Message>")
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_SYSTEM_MESSAGE = re.compile(r'kind: \w+,\s+message: "([^"]{1,200})"')
_SIGNS = (
    ("incorrectly configured region", "the bucket is in another region than AWS_REGION says"),
    ("dns error", "the name of its host is not known"),
    ("CaUsedAsEndEntity", "its certificate is that of an authority, where a server needs one of its own"),
    ("InvalidCertificate", "its certificate is not trusted"),
    ("IncompleteMessage", "it closed the connection"),
    ("TimedOut", "it was silent for too long"),
)
_INSTANCE = re.compile(r"://[^/\s]+/latest/api/token\b")
"""Where Amazon's chain asks last: the instance that it takes this machine for."""
_KEYS_REFUSED = {
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "XAdminUserNotFound",
    "XMinioInvalidAccessKey",
}
"""Codes of S3 ("Error responses" of its reference) that say no to whoever asks, not to what is asked."""
_FULL = {"QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"}
"""Codes of servers that have no room left; the status is 507, or 400 for a quota."""


def of_system(error: OSError, name: str, root: str) -> NodeError:
    """Say why a folder does not give or take a file."""
    match error.errno:
        case errno.ENOENT | None:
            return missing(name, root)
        case errno.ENOSPC | errno.EDQUOT:
            return NodeError("ERR-STG-007", f"There is no room left for {name} in {root}.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return NodeError("ERR-STG-004", f"{root} does not allow access to {name}: {error.strerror}.")
    return NodeError("ERR-STG-009", f"{root} refuses {name}: {error.strerror}.")


def of_target(error: OSError, path: Path) -> NodeError:
    """Say why a download cannot be written."""
    if error.errno in _NO_ROOM:
        return NodeError("ERR-STG-007", f"There is no room left for {path}.", "Make room on the disk that holds it.")
    return NodeError("ERR-STG-010", f"The file {path} cannot be written: {error.strerror}.")


def missing(name: str, root: str) -> NodeError:
    """Say that there is no such file."""
    return NodeError("ERR-STG-006", f"There is no {name} in {root}.")


def of_bucket(error: Exception, name: str, uri: str, endpoint: str) -> NodeError:
    """Say why S3 did not do what it was asked; `error` is one of the library, whose text holds the server's answer."""
    text = str(error)
    code, status = _found(_S3_CODE, text), _found(_STATUS, text)
    if _INSTANCE.search(text):
        return NodeError("ERR-STG-008", f"There are no credentials for {uri} in the environment.")
    if code == "NoSuchBucket":
        return NodeError("ERR-STG-005", f"There is no bucket for {uri} at {endpoint}.")
    if code in _KEYS_REFUSED or status in ("401", "403"):
        reason = _found(_S3_MESSAGE, text) or code or f"status {status}"
        return NodeError("ERR-STG-004", f"{endpoint} does not allow access to {uri}: {reason.rstrip('.')}.")
    if code in _FULL or status == "507":
        return NodeError("ERR-STG-007", f"There is no room left for {name} in {uri}: {endpoint} is full.")
    if code == "NoSuchKey" or (isinstance(error, FileNotFoundError) and not code):
        return missing(name, uri)
    if code or status:
        said = " ".join(filter(None, (f"status {status}" if status else "", code, _found(_S3_MESSAGE, text))))
        kind = Unavailable if status.startswith("5") or status == "429" else NodeError
        return kind("ERR-STG-003" if kind is Unavailable else "ERR-STG-009", f"{endpoint} refuses {name}: {said}.")
    return Unavailable("ERR-STG-003", f"{endpoint} cannot be reached, or the connection broke: {_cause(text)}.")


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _cause(text: str) -> str:
    """The reason in the text of an error, which shows what the library had at hand."""
    if told := _SYSTEM_MESSAGE.findall(text):
        return str(told[-1]).lower()
    return next((reason for sign, reason in _SIGNS if sign in text), "no reason is given")
