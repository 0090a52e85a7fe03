"""Who may ask: size, host, origin and token are judged before a request reaches its route.

The node runs commands, so a web page in a browser on the same machine must not reach it, neither across origins nor
by a name that was made to point here (protocol job-item.md, section 9.2, R6 and R13).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.faults import Refusal, answer
from worker.api.site import Site

BODY_LIMIT_BYTES = 1 << 20
"""The largest body that is taken. A notification of 100 KiB whose every character is escaped has 600 KiB."""

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What may be asked without the token, by those who only want to know whether the node lives."""

TOKEN_PREFIX = "/t/"  # noqa: S105 - a path, no secret
"""`/t/<token>/...` shows the token in the path, so that a URL handed to a script stays a plain URL."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")
_ASKED = frozenset({b"host", b"origin", b"sec-fetch-site", b"authorization", b"content-length"})


@dataclass(frozen=True, slots=True)
class Knock:
    """What of a request decides whether it may come in; `local` is the address that the client connected to."""

    path: str
    headers: dict[bytes, str]
    local: str | None


def judge(knock: Knock, site: Site) -> Refusal | None:
    """Decide whether a request may come in; None lets it in."""
    headers = knock.headers
    if int(headers.get(b"content-length", 0)) > BODY_LIMIT_BYTES and not is_outgoing(knock.path):
        return too_large()
    if not is_own_host(headers.get(b"host", ""), knock.local, site.hosts):
        return Refusal(403, "ERR-API-003")
    if not is_own_origin(headers):
        return Refusal(403, "ERR-API-004")
    if site.token is not None and knock.path not in OPEN_PATHS and not has_token(knock, site.token):
        return Refusal(401, "ERR-API-005", headers={"www-authenticate": "Bearer"})
    return None


def is_outgoing(path: str) -> bool:
    """Tell whether a request brings what is left for the Job Manager: its route has bounds of its own."""
    if path.startswith(TOKEN_PREFIX):
        path = "/" + path.removeprefix(TOKEN_PREFIX).partition("/")[2]
    return path.startswith("/msg/outbox/")


def too_large(limit_bytes: int = BODY_LIMIT_BYTES) -> Refusal:
    """Say that the body is too large; the connection ends, for nobody wants to read the rest."""
    message = f"The body of the request is larger than {limit_bytes} bytes."
    return Refusal(413, "ERR-API-006", message, {"connection": "close"})


def is_own_host(header: str, local: str | None, hosts: frozenset[str] | None) -> bool:
    """Tell whether the header `Host` names this node.

    The port is not looked at: it may be another one in front of a tunnel, and a page of another port shows itself by
    its origin.
    """
    found = _HOST.fullmatch(header)
    if found is None:
        return False
    name = found[1].lower().strip("[]").rstrip(".")
    if hosts is None or name in hosts or name == local:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_origin(headers: dict[bytes, str]) -> bool:
    """Tell whether a request comes from no web page at all or from one of this node."""
    if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get(b"origin")
    return origin is None or origin.lower() == f"http://{headers.get(b'host', '').lower()}"


def has_token(knock: Knock, token: bytes) -> bool:
    """Tell whether a request shows the token, as `Authorization: Bearer` or in its path."""
    scheme, _, shown = knock.headers.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode("latin-1"), token):
        return True
    return hmac.compare_digest(path_token(knock.path).encode(), token)


def path_token(path: str) -> str:
    """Give the token that a path shows, empty where it shows none."""
    return path.removeprefix(TOKEN_PREFIX).partition("/")[0] if path.startswith(TOKEN_PREFIX) else ""


def observe(scope: Scope) -> Knock:
    """Gather what decides about a request. A header that came twice with two values is as good as a wrong one."""
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _ASKED:
            text = value.decode("latin-1")
            headers[name] = text if headers.get(name, text) == text else ""
    return Knock(scope["path"], headers, scope["server"][0] if scope["server"] else None)


class Guard:
    """The layer that lets requests in, and answers `HEAD` like `GET` without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        site: Site = scope["state"]["site"]
        knock = observe(scope)
        refusal = judge(knock, site)
        if refusal is not None:
            await answer(refusal, scope["path"])(scope, receive, send)
            return
        if site.token is not None and (token := path_token(knock.path)):
            scope["root_path"] = TOKEN_PREFIX + token
        if scope["method"] == "HEAD":
            scope, send = dict(scope, method="GET"), without_body(send)
        await self._app(scope, receive, send)


def without_body(send: Send) -> Send:
    """Make a `send` that ends the answer after its head."""
    ended = False

    async def head_only(message: Message) -> None:
        nonlocal ended
        if not ended:
            ended = message["type"] == "http.response.body"
            await send({"type": "http.response.body"} if ended else message)

    return head_only
