"""The server of the local API: uvicorn's HTTP protocol on a lent socket inside the loop of the job child.

Of uvicorn only the protocol is used: its server captures signals and wakes ten times a second to renew the `Date`
header, and this node sleeps unless there is a cause (architecture, section 4).
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import ip_address

from uvicorn.config import Config

from worker.api.app import app
from worker.api.connection import Connection, State
from worker.api.site import Site
from worker.desk import Desk

KEEP_ALIVE_S = 75

ARRIVAL_TURNS = 4
"""Turns of the loop after which a connection that was taken is known, and what it has sent is read."""

HEADERS = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
]
"""On every answer: nothing is cached, guessed at, embedded elsewhere or told by an address."""


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
        self._state.is_stopping = True
        if self._server.is_serving():
            asyncio.get_running_loop().remove_reader(self._socket)
            for _ in range(ARRIVAL_TURNS):  # closed now, it would lose a connection that it has only just taken
                await asyncio.sleep(0)
            self._server.close()
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
