"""A stand-in of the Job Manager's HTTP side as its workers know it (protocol 1.4, 4.4, 7).

It keeps what it was sent, takes notifications as a node does too, so that a script can be tried without one, and
speaks tus 1.0.0 if it is told to.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any

KEY = "project-key"
RECORDS = "/api/worker/job_record"
MSG_LIMIT_BYTES = 102_400


@dataclass
class Form:
    """The one part of a multipart form, as it came."""

    name: str
    file_name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass
class Asked:
    """One request, with its body if it was not a form."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    form: Form | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered in place of the usual; `hang_up`: nothing at all, after so many bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: int | None = None


@dataclass
class Tus:
    """Uploads in the making: their sizes and what has arrived. `hang_ups`: after how many bytes connections break."""

    sizes: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, bytearray] = field(default_factory=dict)
    hang_ups: deque[int] = field(default_factory=deque)
    forgets: bool = False
    """Whether uploads are gone by the time that somebody asks for them."""


class Manager:
    """The stand-in while it runs. `replies` come first, one for each request; then all is as usual."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.replies: deque[Reply] = deque()
        self.during: Callable[[int], object] = lambda _received: None
        """Is called while a body comes, with the number of bytes so far."""
        self.tus: Tus | None = None
        self.early: Reply | None = None
        """Is answered before the body of a request has come."""

    def variables(self, task_id: str = "T1") -> dict[str, str]:
        """What a node would tell a job of this task."""
        return {
            "JOB_ITEM_TASK_ID": task_id,
            "JOB_ITEM_PROJECT_KEY": KEY,
            "JOB_ITEM_MSG_NOTIF_HOST": f"{self.url}/msg/notif/{task_id}",
            "JOB_MANAGER_UPLOAD_FILE": f"{self.url}{RECORDS}/file/{task_id}",
            "JOB_MANAGER_RESULT_URL": f"{self.url}{RECORDS}/result/{task_id}",
        }

    @property
    def messages(self) -> list[str]:
        """The texts of all notifications."""
        return [asked.json["msg"] for asked in self.asked if "/msg/notif/" in asked.path]

    @property
    def forms(self) -> list[Form]:
        """All files that came as forms."""
        return [asked.form for asked in self.asked if asked.form is not None]

    @property
    def results(self) -> list[Any]:
        """All results."""
        return [asked.json for asked in self.asked if "/result/" in asked.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    manager: Manager

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client went away, as some tests want it
            self.close_connection = True

    def do_POST(self) -> None:
        if self.manager.early is not None:
            self._answer(self.manager.early)
            return
        reply = self.manager.replies.popleft() if self.manager.replies else None
        with tempfile.TemporaryFile() as body:
            if not self._receive(body, reply.hang_up if reply else None):
                return
            asked = self._keep(body)
        self._answer(reply or self._usual(asked))

    def do_GET(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_OPTIONS(self) -> None:
        self.do_POST()

    def do_PATCH(self) -> None:
        self.do_POST()

    def _receive(self, body: IO[bytes], hang_up: int | None) -> bool:
        left, received = int(self.headers.get("content-length", 0)), 0
        if self.command == "PATCH" and self.manager.tus and self.manager.tus.hang_ups:
            hang_up = self.manager.tus.hang_ups.popleft()
        while left and (hang_up is None or received < hang_up):
            chunk = self.rfile.read1(min(left, 1 << 18, *(() if hang_up is None else (hang_up - received,))))
            if not chunk:
                return self._hang_up(body)
            body.write(chunk)
            left, received = left - len(chunk), received + len(chunk)
            self.manager.during(received)
        return hang_up is None or self._hang_up(body)

    def _hang_up(self, body: IO[bytes]) -> bool:
        if self.command == "PATCH":
            self._take_piece(body)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return False

    def _keep(self, body: IO[bytes]) -> Asked:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers)
        body.seek(0)
        if headers.get("content-type", "").startswith("multipart/form-data"):
            asked.form = read_form(body, headers["content-type"])
        elif self.command == "PATCH":
            self._take_piece(body)
        else:
            asked.body = body.read()
        self.manager.asked.append(asked)
        return asked

    def _take_piece(self, body: IO[bytes]) -> None:
        body.seek(0)
        assert self.manager.tus is not None
        arrived = self.manager.tus.arrived[self.path]
        assert int(self.headers["upload-offset"]) == len(arrived)
        assert self.headers["content-type"] == "application/offset+octet-stream"
        arrived += body.read()

    def _usual(self, asked: Asked) -> Reply:
        path, _, task_id = asked.path.rpartition("/")
        if path.endswith("/msg/notif"):
            return judge_notification(asked)
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, b'{"status": "error", "status_code": 401, "return": "unknown project key"}')
        if self.manager.tus is not None and (tus := self._tus(self.manager.tus, asked)):
            return tus
        if path == f"{RECORDS}/file" and asked.form is not None:
            return Reply(200, json.dumps(envelope(asked.form, task_id)).encode())
        if path == f"{RECORDS}/result":
            return Reply(200, b'{"status": "success", "status_code": 200, "return": {}}')
        return Reply(404, b"404 page not found")

    def _tus(self, tus: Tus, asked: Asked) -> Reply | None:
        version = {"Tus-Resumable": "1.0.0"}
        if asked.method == "OPTIONS":
            return Reply(204, b"", {**version, "Tus-Version": "1.0.0,0.2.2", "Tus-Extension": "creation,expiration"})
        if asked.form is not None:
            return None
        if asked.headers.get("tus-resumable") != "1.0.0":
            return Reply(412, b"", {"Tus-Version": "1.0.0"})
        if asked.method == "POST" and "upload-length" in asked.headers:
            place = f"/uploads/{len(tus.sizes)}"
            tus.sizes[place], tus.arrived[place] = int(asked.headers["upload-length"]), bytearray()
            return Reply(201, b"", {**version, "Location": place})
        if asked.method in ("HEAD", "PATCH") and tus.forgets:
            return Reply(410, b"")
        if asked.method in ("HEAD", "PATCH"):
            return Reply(
                200 if asked.method == "HEAD" else 204,
                b"",
                {**version, "Upload-Offset": str(len(tus.arrived[asked.path])), "Cache-Control": "no-store"},
            )
        return None

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        if "Content-Type" not in reply.headers:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)


def judge_notification(asked: Asked) -> Reply:
    """Answer a notification as the Go worker does."""
    msg = asked.json.get("msg")
    if not msg:
        return Reply(400, b'{"error": "Key: msg Error: required"}')
    if len(msg.encode()) > MSG_LIMIT_BYTES:
        return Reply(400, b'{"error": "msg exceeds 100KB limit"}')
    return Reply(200, json.dumps({"status": "success", "return": {"msg": msg}}).encode())


def envelope(form: Form, task_id: str) -> dict[str, Any]:
    """The answer to a file (protocol 1.4)."""
    return {
        "status": "success",
        "status_code": 200,
        "return": {
            "file_info": {"id": 7, "job_record_uuid": task_id, "file_name": form.file_name},
            "download_url": f"https://manager.example/files/{task_id}/7",
            "security_notice": "Whoever has this address can read the file.",
            "expiry_notice": "The address is good for a day.",
        },
    }


def read_form(body: IO[bytes], content_type: str) -> Form:
    """Read a multipart form that must have exactly one part."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    size = body.seek(0, 2)
    body.seek(0)
    first = body.read(1 << 16)
    head, blank, _ = first.partition(b"\r\n\r\n")
    assert blank
    assert head.startswith(b"--" + boundary + b"\r\n"), head
    ending = b"\r\n--" + boundary + b"--"
    body.seek(max(0, size - len(ending) - 2))
    last = body.read()
    end = size - len(last) + last.rindex(ending)
    start = len(head) + 4
    digest = hashlib.sha256()
    body.seek(start)
    left = end - start
    while left > 0:
        block = body.read(min(left, 1 << 20))
        left -= len(block)
        digest.update(block)
    lines = head.decode().split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    said = dict(re.findall(r'(\w+)="([^"]*)"', headers["content-disposition"]))
    return Form(said["name"], said["filename"], headers.get("content-type", ""), end - start, digest.hexdigest())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        self.failures.append(client_address)
        super().handle_error(request, client_address)  # type: ignore[arg-type]  # only handed on

    failures: list[object]


@contextmanager
def managing() -> Iterator[Manager]:
    """The stand-in for as long as the context lasts."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    server.failures = []
    manager = handler.manager = Manager(server.server_address[1])  # type: ignore[attr-defined]  # made just above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield manager
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not server.failures
