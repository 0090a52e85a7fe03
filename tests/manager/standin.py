"""A stand-in for the Job Manager's HTTP side: a real server, to the letter, that fails on request.

Protocol job-item.md, sections 2.4, 2.5 and 2.7.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONFIG = "/api/worker/config"
BUNDLE = "/api/worker/config/tls/download"

Fault = Callable[[BaseHTTPRequestHandler], None]
"""Answers in the place of the stand-in."""


@dataclass
class Question:
    """What was asked."""

    path: str
    headers: dict[str, str]
    document: Any


def registered(event: str, limit: Any = 0, timeout: Any = 0, *nested: dict[str, Any]) -> dict[str, Any]:
    """An entry of `job_datas` as the Job Manager sends it."""
    return {
        "uuid": f"uuid-of-{event}",
        "event": event,
        "name": event.title(),
        "data": {"limit_process": limit, "timeout": timeout, "body": ""},
        "data_store": {},
        "created_at": "2025-01-02T03:04:05Z",
        "updated_at": None,
        "nested_jobs": list(nested),
        "project_datas": [{"uuid": "x", "passkey": "passkey-of-another", "salt": "salt-of-another"}],
        "job_data_projects": [],
    }


def nested(event: str, limit: Any = 0, timeout: Any = "0") -> dict[str, Any]:
    """An entry of `nested_jobs`."""
    return {"nested_job_id": f"id-of-{event}", "name": event, "event": event, "limit": limit, "timeout": timeout}


@dataclass
class StandIn:
    """Answers with `content`; `fault` answers instead while it is set. Everything may be changed at any time."""

    content: dict[str, Any] = field(default_factory=dict)
    bundle: bytes = b""
    secret: str = "key-of-the-project"
    fault: Fault | None = None
    bundle_fault: Fault | None = None
    questions: list[Question] = field(default_factory=list)

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Be away."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def asked(self, path: str = CONFIG) -> int:
        """How often something was asked for."""
        return sum(question.path == path for question in self.questions)

    def settings(self, **more: Any) -> dict[str, Any]:
        """What a node says that belongs to it."""
        credential = {"project_id": "P", "secret_key": self.secret}
        return {"end_point": self.url, "credential": credential, **more}


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        standin, document = self.standin, json.loads(body)
        standin.questions.append(Question(self.path, dict(self.headers), document))
        fault = {CONFIG: standin.fault, BUNDLE: standin.bundle_fault}.get(self.path)
        names = ("app_id", "app_secret") if self.path == BUNDLE else ("project_id", "secret_key")
        if fault is not None:
            fault(self)
        elif self.path not in (CONFIG, BUNDLE):
            send(self, 404, b"{}")
        elif (document.get(names[0]), document.get(names[1])) != ("P", standin.secret):
            send(self, 401, json.dumps({"error": f"no such project: {body.decode()}"}).encode())
        elif self.path == BUNDLE:
            send(self, 200, standin.bundle, "application/zip")
        else:
            send(self, 200, json.dumps({"status": "success", "status_code": 200, "return": standin.content}).encode())

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    """Answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def status(number: int, body: bytes = b"{}") -> Fault:
    """A fault: this status."""
    return lambda handler: send(handler, number, body)


def garbage(body: bytes) -> Fault:
    """A fault: a good status with something else in it."""
    return lambda handler: send(handler, 200, body)


def redirect(location: str) -> Fault:
    """A fault: go elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def half(handler: BaseHTTPRequestHandler) -> None:
    """Promise more than comes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"return": {')
    handler.wfile.flush()
    handler.connection.close()
    handler.close_connection = True


def huge(handler: BaseHTTPRequestHandler) -> None:
    """Never stop, as fast as it goes."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * (1 << 16))
    except OSError:
        handler.close_connection = True


def drip(until: threading.Event) -> Fault:
    """A fault: a byte now and then, so that there is never silence."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not until.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            pass
        handler.close_connection = True

    return answer


def hang(until: threading.Event) -> Fault:
    """A fault: silence."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        until.wait(60)
        handler.close_connection = True

    return answer


@contextmanager
def standing_in(content: dict[str, Any] | None = None, *, start: bool = True) -> Iterator[StandIn]:
    """A stand-in that answers for as long as the context lasts."""
    standin = StandIn(content or {})
    try:
        if start:
            standin.start()
        yield standin
    finally:
        standin.stop()
