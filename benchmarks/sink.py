"""A bucket that takes all and keeps nothing: as much of S3 as an upload needs, at the speed of its sockets.

`python -m benchmarks.sink` prints its port and ends with its standard input.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bare import read_head

_BLOCK_BYTES = 1 << 20
_TAG = b'"00000000000000000000000000000000"'
_BEGUN = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
_ENDED = b"<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>" % _TAG
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


def serve(client: socket.socket) -> None:
    """Take the requests of one connection."""
    room = bytearray(_BLOCK_BYTES)
    with client:
        while head := read_head(client):
            text, _, begun = head.partition(b"\r\n\r\n")
            length = _LENGTH.search(text)
            left = int(length[1]) - len(begun) if length else 0
            while left > 0 and (taken := client.recv_into(room, min(left, _BLOCK_BYTES))):
                left -= taken
            line = text.partition(b"\r\n")[0]
            body = b""
            if line.startswith(b"POST"):
                body = _BEGUN if b"uploads" in line else _ENDED
            client.sendall(b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n%s" % (_TAG, len(body), body))


@contextmanager
def sink() -> Iterator[str]:
    """Serve for as long as the context lasts, in a process of its own; gives the endpoint."""
    program = subprocess.Popen((sys.executable, "-m", "benchmarks.sink"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(program.stdout.readline())}"
    finally:
        program.stdin.close()
        program.wait(10)
        program.stdout.close()


def main() -> None:
    """Listen, say where, serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
