"""The same work done by the smallest program that can do it: what the machine allows at best.

`python -m benchmarks.bare answer` answers every request with one constant; `... revive` serves with a child that is
forked anew whenever it dies; `... swallow` reads what is sent and throws it away. All print their port and end with
their standard input.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def answer_of(body: bytes) -> bytes:
    """A successful answer as bytes."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Constant(asyncio.Protocol):
    """Answers each request, which is taken to come in one piece, with the same bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the client."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(answer_of(b"{}"))


async def answer(listener: socket.socket) -> None:
    """Serve until standard input ends."""
    await asyncio.get_running_loop().create_server(Constant, sock=listener)
    await asyncio.to_thread(sys.stdin.read)


def revive(listener: socket.socket) -> None:
    """Keep one serving child alive, until standard input ends."""
    child = 0

    def end() -> None:
        sys.stdin.read()
        os.kill(child, 9)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    while True:
        child = os.fork()
        if child == 0:
            serve_pid(listener)
        os.waitpid(child, 0)


def swallow(listener: socket.socket) -> None:
    """Take in one request after the other, whatever its size, until standard input ends."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    room = bytearray(1 << 20)
    while True:
        client, _ = listener.accept()
        with client:
            while head := read_head(client):
                text, _, begun = head.partition(b"\r\n\r\n")
                headers = dict(line.lower().split(b": ", 1) for line in text.split(b"\r\n")[1:])
                if b"expect" in headers:
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                left = int(headers.get(b"content-length", 0)) - len(begun)
                while left > 0 and (taken := client.recv_into(room, min(left, len(room)))):
                    left -= taken
                client.sendall(answer_of(b"{}"))


def read_head(client: socket.socket) -> bytes:
    """The head of a request, and what of its body came with it; nothing when there is no further one."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(1 << 16)
        if not chunk:
            return b""
        head += chunk
    return head


def serve_pid(listener: socket.socket) -> None:
    """Answer each connection once with the pid of this process, for ever."""
    body = b'{"worker":{"pid":%d}}' % os.getpid()
    while True:
        client, _ = listener.accept()
        with client:
            client.recv(1 << 16)
            client.sendall(answer_of(body))


@contextmanager
def bare(kind: str) -> Iterator[int]:
    """A bare program for as long as the context lasts; gives its port."""
    program = subprocess.Popen(
        (sys.executable, "-m", "benchmarks.bare", kind), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        yield int(program.stdout.readline())
    finally:
        program.stdin.close()
        program.wait(10)
        program.stdout.close()


def main() -> None:
    """Listen, say where, serve."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    match sys.argv[1]:
        case "answer":
            asyncio.run(answer(listener))
        case "swallow":
            swallow(listener)
        case _:
            revive(listener)


if __name__ == "__main__":
    main()
