"""uvicorn's HTTP protocol on a lent socket inside the loop of the job child.

Of uvicorn only the protocol is used: its server captures signals and wakes ten times a second to renew the `Date`
header, and this node sleeps unless there is a cause (architecture, section 4).
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from starlette.responses import JSONResponse
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from worker.api.app import app
from worker.api.faults import Refusal, problem
from worker.api.site import Site
from worker.desk import Desk

CONNECTIONS = 512
"""How many connections may be open at once."""

HEAD_LIMIT_BYTES = 1 << 16
LINGER_S = 2.0
REQUEST_TIMEOUT_S = 30.0
"""How long a request may take to come in, head and body."""

KEEP_ALIVE_S = 75
COMING_S = 0.2
"""How long a client that has connected and said nothing yet may keep a server that stops."""

ARRIVAL_TURNS = 4
"""Turns of the loop after which a connection that was taken is known, and what it has sent is read."""

HEADERS = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
]
"""On every answer: nothing is cached, guessed at, embedded elsewhere or told by an address."""


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
        """End the connection after the answer under way; who has only come, or is speaking, is answered first."""
        if self._deadline is None or self._is_away:
            super().shutdown()
            return
        self._is_leaving = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        if not self._head_bytes and self._in_head:
            self._disarm()
            self._deadline = self.loop.call_later(COMING_S, self.transport.close)

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


class Server:
    """Serves one desk on one socket.

    Parameters: `desk`, who answers until `hand_over`; `listener`, a bound TCP socket, made with `IPPROTO_TCP` (else
    asyncio sets no TCP_NODELAY and each request of a kept connection takes 40 ms); `token`, what requests have to show,
    None where none is needed; `host`, the configured name or address, under which the node may be asked besides
    loopback.
    """

    def __init__(
        self, desk: Desk, listener: socket.socket, token: str | None = None, *, host: str = "127.0.0.1"
    ) -> None:
        self._desk = desk
        self._socket = listener
        self._token = token.encode() if token else None
        self._host = host
        self.is_up = False

    def hand_over(self, desk: Desk) -> None:
        """Let another desk answer what is asked from now on."""
        self._desk = desk
        if self.is_up:
            self._lent["site"] = replace(self._lent["site"], desk=desk)

    async def start(self) -> None:
        """Answer requests from now on."""
        loop = asyncio.get_running_loop()
        self._state = State()
        self._closing = loop.create_future()
        self._lent = {"site": Site(self._desk, own_hosts(self._host), self._token, self._closing)}
        self.is_up = True

        def connect() -> Connection:
            return Connection(config=CONFIG, server_state=self._state, app_state=self._lent, _loop=loop)

        self._server = await loop.create_server(connect, sock=self._socket, backlog=2048)

    async def stop(self, grace_s: float = 2.0) -> None:
        """Take no more connections, end streams, let answers under way finish for at most `grace_s` seconds.

        Connections that nobody has taken yet stay with the socket, for whoever serves it next.
        """
        self._server.close()
        self._state.is_stopping = True
        for _ in range(ARRIVAL_TURNS):
            await asyncio.sleep(0)
        if not self._closing.done():
            self._closing.set_result(None)
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            await asyncio.wait_for(self._state.idle.wait(), grace_s)
        except TimeoutError:
            for connection in list(self._state.connections):
                connection.transport.abort()
        if tasks := set(self._state.tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=grace_s)


def own_hosts(host: str) -> frozenset[str] | None:
    """Give the names under which the node may be asked; None where it listens on every address."""
    try:
        address = ip_address(host)
    except ValueError:
        return frozenset({"localhost", host.lower()})
    return None if address.is_unspecified else frozenset({"localhost", str(address)})


def configuration() -> Config:
    """Set uvicorn's protocol up: nothing captured, nothing logged, no header trusted that a proxy might send."""
    config = Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        headers=HEADERS,
        workers=1,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    return config


CONFIG = configuration()
"""Made at import, before any child is born."""
