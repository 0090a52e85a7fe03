"""A client that costs as little as can be: raw sockets kept open, one request under way on each, one fixed request.

It is a process of its own, `python -m benchmarks.client PORT CONNECTIONS COUNT PATH BODY`, so that its share of
the processor is known, and prints what it did as JSON.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Pace:
    """So many requests in so many seconds, and the client's own processor time in them."""

    count: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return self.count / self.wall_s


def request_of(path: str, body: bytes) -> bytes:
    """`POST` of a JSON document as bytes."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def creation_of(event: str, data: dict[str, Any]) -> bytes:
    """`POST /job/create` as bytes."""
    return request_of("/job/create", creation(event, data).encode())


def creation(event: str, data: dict[str, Any]) -> str:
    """The document that creates a job."""
    return json.dumps({"app_id": "local", "event": event, "form_body": data})


def connect(port: int) -> socket.socket:
    """A connection to the node."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_answer(sock: socket.socket) -> bytes:
    """One whole answer. Raises AssertionError when it is no success."""
    answer = b""
    while True:
        head, blank, body = answer.partition(b"\r\n\r\n")
        if blank and len(body) >= int(head.lower().partition(b"content-length:")[2].split()[0]):
            break
        chunk = sock.recv(1 << 16)
        assert chunk, f"the connection ended within an answer: {answer!r}"
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return answer


def send_all(port: int, connections: int, count: int, request: bytes) -> Pace:
    """Send `count` requests over kept connections; every answer is as long as the first, else it is no success."""
    sockets = {sock.fileno(): sock for sock in (connect(port) for _ in range(connections))}
    missing = dict.fromkeys(sockets, 0)
    poller = select.epoll()
    first = next(iter(sockets.values()))
    first.sendall(request)
    expected = len(read_answer(first))
    begun, begun_cpu = time.perf_counter(), time.process_time()
    to_send = to_come = count - 1
    for number, sock in sockets.items():
        poller.register(number, select.EPOLLIN)
        if to_send:
            to_send -= 1
            missing[number] = expected
            sock.send(request)
    while to_come:
        for number, _ in poller.poll(30):
            sock = sockets[number]
            missing[number] -= len(sock.recv(1 << 16))
            if missing[number]:
                assert missing[number] > 0, "an answer is longer than the first: no success"
                continue
            to_come -= 1
            if to_send:
                to_send -= 1
                missing[number] = expected
                sock.send(request)
    return Pace(count - 1, time.perf_counter() - begun, time.process_time() - begun_cpu)


def create(port: int, connections: int, count: int, event: str, data: dict[str, Any] | None = None) -> Pace:
    """Create `count` jobs, from a process of its own."""
    return post(port, connections, count, "/job/create", creation(event, data or {"n": 1}))


def post(port: int, connections: int, count: int, path: str, document: str) -> Pace:
    """Send one JSON document `count` times, from a process of its own."""
    arguments = (str(port), str(connections), str(count), path, document)
    done = subprocess.run(
        (sys.executable, "-m", "benchmarks.client", *arguments), check=True, capture_output=True, timeout=LIMIT_S
    )
    return Pace(**json.loads(done.stdout))


def main(arguments: list[str]) -> None:
    """Do what the command line asks for."""
    port, connections, count = map(int, arguments[:3])
    request = request_of(arguments[3], arguments[4].encode())
    print(json.dumps(asdict(send_all(port, connections, count, request))))


if __name__ == "__main__":
    main(sys.argv[1:])
