"""One request to the Job Manager, bounded in time and size. Imported where something is asked only: it is heavy."""

from __future__ import annotations

import json
import os
import ssl
from dataclasses import dataclass
from typing import Any

import requests
from requests.utils import get_environ_proxies

from job_item.bounded import within
from job_item.errors import NodeError, Unavailable
from job_item.sdk.answer import origin, shown
from job_item.sdk.courier import cause, certificates, chain, is_loopback

CONNECT_S = 5.0
"""How long a connection may take to be made."""
SILENCE_S = 8.0
"""How long nothing may come."""
WHOLE_S = 8.0
"""How long the whole of it may take, also where something comes all the time."""
_BLOCK_BYTES = 1 << 16
_AWAY = (408, 425, 429)
"""Statuses below 500 that will pass."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, the address it sends on to, and the body, or as much of it as was allowed and one byte more."""

    status: int
    location: str
    body: bytes


def post(url: str, document: object, *, what: str, size_max_bytes: int, whole_s: float = WHOLE_S) -> bytes:
    """Send JSON and return the body of the answer 200. Redirects are not followed: what is sent holds a secret.

    Raises `Unavailable` (ERR-MGR-001: it is away or in trouble), `NodeError` (ERR-MGR-002: it refuses;
    ERR-MGR-003: what it answers is too long).
    """
    body = json.dumps(document).encode()
    late = _away(url, f"has not answered in full within {whole_s:g} s")
    reply = within(whole_s, lambda: _send(url, body, size_max_bytes), late)
    if reply.status != 200:
        raise _refusal(reply, url, what)
    if len(reply.body) > size_max_bytes:
        raise NodeError("ERR-MGR-003", f"{origin(url)} answers with more than {size_max_bytes >> 20} MiB to {what}.")
    return reply.body


def _send(url: str, body: bytes, size_max_bytes: int) -> Reply:
    session = requests.Session()
    session.trust_env = False  # no .netrc; certificates and proxies are asked for here
    try:
        with session.request(
            "POST",
            url,
            data=body,
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            timeout=(CONNECT_S, SILENCE_S),
            allow_redirects=False,
            stream=True,
            verify=certificates(os.environ),
            proxies={} if is_loopback(url) else get_environ_proxies(url),
        ) as response:
            return Reply(response.status_code, response.headers.get("location", ""), _read(response, size_max_bytes))
    except requests.exceptions.InvalidURL as error:
        raise NodeError("ERR-MGR-001", f"{origin(url)} is no usable address.") from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise _away(url, _words(error)) from error


def _read(response: Any, size_max_bytes: int) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(_BLOCK_BYTES):
        content += chunk
        if len(content) > size_max_bytes:
            break
    return bytes(content[: size_max_bytes + 1])


def _words(error: Exception) -> str:
    if any(isinstance(inner, ssl.SSLCertVerificationError) for inner in chain(error)):
        return f"cannot be trusted: {cause(error)}"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"cannot be reached within {CONNECT_S:g} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"was silent for {SILENCE_S:g} s"
    return f"cannot be reached or broke off: {cause(error)}"


def _away(url: str, why: str) -> Unavailable:
    return Unavailable("ERR-MGR-001", f"The Job Manager at {origin(url)} {why}.")


def _refusal(reply: Reply, url: str, what: str) -> NodeError:
    """Only the status is told: the text of an answer may repeat what was sent."""
    said = f"answers {reply.status} to {what}"
    if reply.status >= 500 or reply.status in _AWAY:
        return _away(url, said)
    remedy = None
    if 300 <= reply.status < 400 and reply.location:
        remedy = f"It sends us on to {shown(origin(reply.location))}; let end_point name that if it is right."
    elif reply.status == 404:
        remedy = "See that end_point is the address of the Job Manager itself: scheme, host and port."
    return NodeError("ERR-MGR-002", f"The Job Manager at {origin(url)} {said}.", remedy)
