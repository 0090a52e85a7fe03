"""One client of the local API: its connection, on uvicorn's HTTP protocol, with bounds on all that it may take."""

from __future__ import annotations

import asyncio
import select
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from worker.api.faults import Refusal, problem
from worker.api.guard import is_outgoing

CONNECTIONS = 512
"""How many connections may be open at once."""

HEAD_LIMIT_BYTES = 1 << 16
LINGER_S = 2.0
REQUEST_TIMEOUT_S = 30.0
"""How long a request may take to come in, head and body."""

COMING_S = 0.2
"""How long a client that has just come, or was just answered, may keep a server that stops: it may be speaking."""


class State(ServerState):
    """What the connections of one server share."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = asyncio.Event()
        self.idle.set()
        self.is_stopping = False
        self._dated_at = 0

    def renew_date(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Put the moment into the default headers, once a second at most."""
        second = int(time.time())
        if second != self._dated_at:
            self._dated_at = second
            self.default_headers = [(b"date", formatdate(second, usegmt=True).encode()), *headers]


class Connection(HttpToolsProtocol):
    """One client: bounds on how many there are, on the size of a request's head and on the time it takes."""

    server_state: State

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._is_away = False
        self._is_leaving = False
        self._quiet_since_s = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, or send it away when there are too many."""
        super().connection_made(transport)
        self.server_state.idle.clear()
        self._arm()
        if len(self.connections) > CONNECTIONS:
            self._send_away(Refusal(503, "ERR-API-012"))
        elif self.server_state.is_stopping:
            self.shutdown()

    def shutdown(self) -> None:
        """End the connection after the answer under way. Who is speaking, or may be about to, is answered first."""
        is_asked = self.cycle is not None and not self.cycle.response_complete
        is_speaking = self._deadline is not None and (self._head_bytes > 0 or not self._in_head)
        if is_asked or self._is_away:
            super().shutdown()
        self._is_leaving = True
        if is_asked or is_speaking or self._is_away:
            return
        self._disarm()
        quiet_s = self.loop.time() - self._quiet_since_s
        if quiet_s < COMING_S:
            self._deadline = self.loop.call_later(COMING_S - quiet_s, self._close)
        else:
            self._close()

    def _close(self) -> None:
        """End a quiet connection, unless there are words in it that this process has had no time to read."""
        unread = select.poll()
        unread.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        if unread.poll(0):
            self._deadline = self.loop.call_later(COMING_S, self._close)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Remember when the client was answered last."""
        self._quiet_since_s = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._disarm()
        super().connection_lost(exc)
        if not self.connections:
            self.server_state.idle.set()

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; a head that does not end is not waited for."""
        if self._is_away or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_LIMIT_BYTES and not self._is_away:
            self._send_away(Refusal(431, "ERR-API-014"), LINGER_S)

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        super().on_message_begin()
        self._in_head = True
        if self._is_leaving:
            self._disarm()  # it does speak
        self._arm()

    def on_headers_complete(self) -> None:
        """Pass the request on."""
        self._in_head = False
        self._head_bytes = 0
        self.server_state.renew_date(self.config.encoded_headers)
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; a file that is left here may take its time, as long as there is no silence."""
        if is_outgoing(self.scope["path"]):
            self._disarm()
            self._arm()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is here as a whole."""
        self._head_bytes = 0
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not shown
        """Answer what is no HTTP."""
        self._send_away(Refusal(400, "ERR-API-015"), LINGER_S)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self._send_away(Refusal(408, "ERR-API-013"))
        self.transport.close()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _send_away(self, refusal: Refusal, linger_s: float = 0.0) -> None:
        """Answer and end the connection; within `linger_s` seconds the client may finish speaking.

        Closing a connection with unread bytes in it may destroy the answer before the client has read it.
        """
        self._disarm()
        self._is_away = True
        self.server_state.renew_date(self.config.encoded_headers)
        self.transport.write(encode_refusal(refusal, self.server_state.default_headers))
        if linger_s:
            self.transport.write_eof()
            self._deadline = self.loop.call_later(linger_s, self.transport.abort)
        else:
            self.transport.close()


def encode_refusal(refusal: Refusal, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Write an answer that ends its connection, outside of the application."""
    response = JSONResponse(problem(refusal, ""))
    status = HTTPStatus(refusal.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in (*headers, *response.raw_headers, (b"connection", b"close"))]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)
