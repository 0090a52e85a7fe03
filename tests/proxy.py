"""A TCP proxy with bad weather: stalled, half-open and vanished links, resets, delay, silence."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal

CHUNK_BYTES = 64 << 10

Weather = Literal["fair", "stalled", "half-open", "vanished"]

SO_ATTACH_FILTER = 26
"""Of asm-generic/socket.h."""


class Proxy:
    """Passes bytes on between whoever connects and a target, as the weather allows.

    `stalled`: nothing is read any more, so the sender's buffers fill. `half-open`: everything is read and thrown away,
    as if the other end had gone without a word. `vanished`: its machine has gone too, so nothing is acknowledged any
    more (Linux; for good). In all three the connections stand. Runs in a thread of its own; all methods may be called
    from any thread.

    Parameters: `host`, the loopback address to listen on; `tls`, to be a TLS server in front of a plain target.
    """

    def __init__(self, target_port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port = 0
        self.passed: list[bytes] = []
        """What clients have sent, in pieces."""
        self.delay_s = 0.0
        self._target_port = target_port
        self._tls = tls
        self._weather: Weather = "fair"
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def change(self, weather: Weather) -> None:
        """Let the weather be another for all connections, new ones too."""
        self._do(self._change(weather))

    def reset(self) -> None:
        """Cut all connections with a TCP reset."""
        self._do(self._reset())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _change(self, weather: Weather) -> None:
        self._weather = weather
        if weather == "vanished":
            for writer in self._writers:
                _drop_all(writer.get_extra_info("socket"))
        self._changed.set()
        self._changed = asyncio.Event()

    async def _reset(self) -> None:
        for writer in list(self._writers):
            raw: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):  # closed by its other end meanwhile
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            _abort(writer)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for pump in list(self._pumps):
            pump.cancel()
        for writer in list(self._writers):
            _abort(writer)
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for _ in range(3):  # what was aborted is closed in the loop's next turns
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, sink, is_client in ((reader, far_writer, True), (far_reader, writer, False)):
            pump = asyncio.ensure_future(self._pump(source, sink, is_client=is_client))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _stall(self) -> None:
        while self._weather == "stalled":
            await self._changed.wait()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_client: bool) -> None:
        try:
            while True:
                await self._stall()
                piece = await source.read(CHUNK_BYTES)
                if is_client:
                    self.passed.append(piece)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._stall()
                if self._weather == "half-open":
                    if not piece:
                        await asyncio.get_running_loop().create_future()
                    continue
                if not piece:
                    return
                sink.write(piece)
                await sink.drain()
        except OSError:
            pass
        finally:
            if not sink.transport.is_closing():
                sink.close()


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def _drop_all(link: socket.socket) -> None:
    """Let the system drop each segment that comes for a socket before TCP sees it: the filter program `ret #0`."""
    program = _Program(1, ctypes.pointer(_Instruction(0x06, 0, 0, 0)))
    link.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(program))


def _abort(writer: asyncio.StreamWriter) -> None:
    with suppress(AttributeError):  # the loop has let go of it in this very moment
        writer.transport.abort()
