"""The client library of NATS, with a lighter way for messages in and out, and a rule on credentials.

The library has a task and a queue for each subscription, a future for each thing that is sent, and a ping that
overtakes what waits to be written. A job needs two subscriptions and two messages, so here a subscription is an entry
of a table, what is said at about the same time is written at once, and one ping behind it answers all who asked for
one. Connecting, logging in, TLS, the parser and the pings of an idle link are the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from job_item.without import without
from worker.brokers.burst import Burst

with without("aiohttp"):  # for websockets, which are not used here: four times the time and memory
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["ConnectFailed", "GuardedClient", "Hear", "Msg", "errors"]

Hear = Callable[[Msg], None]
"""What is done with a message, in the turn of the loop in which it came; it must not raise."""


class ConnectFailed(Exception):  # noqa: N818 - not for others to see
    """Carries the first failure out of the client, which would try again by itself."""


class GuardedClient(Client):
    """The client, and the rule that it shows no credentials in plain text where TLS is wanted.

    The library makes TLS when the server says that it must be, and goes on in plain text when it does not.
    """

    def __init__(self, *, is_tls: bool) -> None:
        super().__init__()
        self._is_tls = is_tls
        self._is_checked = False
        self._hears: dict[int, Hear] = {}
        self._burst = Burst(self._write)
        self._pings_wanted: list[asyncio.Future[None]] = []
        self._leaving: list[int] = []

    def listen(self, subject: str, group: str, hear: Hear) -> int:
        """Subscribe; returns the number of the subscription. Raises what the library raises."""
        self._check_open()
        self._sid += 1
        self._hears[self._sid] = hear
        self._burst.put(f"SUB {subject} {group} {self._sid}\r\n".encode())
        return self._sid

    def unlisten(self, number: int) -> None:
        """Unsubscribe; what the server sent before comes until `forget`."""
        if not self.is_closed:
            self._burst.put(f"UNSUB {number}\r\n".encode())

    def forget(self, number: int) -> None:
        """Nothing comes to a subscription any more."""
        self._hears.pop(number, None)

    def forget_later(self, number: int) -> None:
        """Forget a subscription that was ended when the server next answers a ping: it has seen that then."""
        self._leaving.append(number)

    def tell(self, subject: str, body: bytes, reply: str = "") -> None:
        """Send a message. Raises what the library raises; `subject` and `reply` were checked."""
        self._check_open()
        self._burst.put(f"PUB {subject} {reply} {len(body)}\r\n".encode(), body, b"\r\n")

    def ping(self) -> asyncio.Future[None]:
        """Ask the server to answer; it does when it has seen all that was said here before."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings_wanted.append(answer)
        self._burst.put(b"")
        return answer

    @property
    def backlog_bytes(self) -> int:
        """What was said and is not in the hands of the system yet."""
        writer = self._writer()
        return self._burst.size_bytes + (writer.transport.get_write_buffer_size() if writer is not None else 0)

    async def drained(self) -> None:
        """Return when the link has taken nearly all of that."""
        writer = self._writer()
        if writer is not None:
            await writer.drain()

    def abort(self) -> None:
        """Close the socket without waiting for a link that takes nothing; the library has no word for that."""
        writer = self._writer()
        if writer is not None:
            writer.transport.abort()

    def shown(self, secret: str | None) -> Callable[[], str] | None:
        """A credential, as the library asks for it when it is about to be sent."""
        if secret is None:
            return None

        def show() -> str:
            if not self._is_checked:
                raise ConnectFailed from errors.Error("the library has not checked what the server says of TLS")
            return secret

        return show

    def _check_open(self) -> None:
        if not self.is_connected:
            raise errors.ConnectionClosedError

    def _write(self, pieces: list[bytes]) -> None:
        if not self.is_connected or self._transport is None:
            return  # whoever waits for an answer hears of the loss
        if self._pings_wanted:
            self._pongs.append(self._pong(self._pings_wanted, self._leaving))
            self._pings_wanted, self._leaving = [], []
            pieces.append(b"PING\r\n")
        self._transport.writelines(pieces)

    def _pong(self, answers: list[asyncio.Future[None]], leaving: list[int]) -> asyncio.Future[Any]:
        """One future of the library for all who wait for the same answer."""

        def tell(_: asyncio.Future[Any]) -> None:
            for number in leaving:
                self.forget(number)
            for answer in answers:
                if not answer.done():
                    answer.set_result(None)

        pong: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        pong.add_done_callback(tell)
        return pong

    def _writer(self) -> asyncio.StreamWriter | None:
        writer: asyncio.StreamWriter | None = getattr(self._transport, "_io_writer", None)
        return writer

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        """Called by the library's parser."""
        hear = self._hears.get(sid)
        if hear is not None:
            told = await self._process_headers(headers) if headers else None
            hear(Msg(self, subject.decode(), reply.decode(), data, told))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._is_tls:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise ConnectFailed from errors.Error("the server does not speak TLS at this port")
            info["tls_required"] = True
        self._is_checked = True
        await super()._process_info(info, initial_connection)
