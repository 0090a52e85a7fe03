"""The stand-in as an HTTP server: one thread a connection, idle connections closed after five seconds."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from examples.reefguide.api.answers import LIMIT_BYTES, Answer, Refusal, domain, no_route, unforeseen
from examples.reefguide.api.faults import Faults, Rule
from examples.reefguide.api.store import Store

KEEP_ALIVE_S = 5.0
FILES_MAX = 25
"""Objects below the prefix of a job that are handed out; where there are more, none is."""

Call = Callable[["Request"], Answer]


class Request:
    """One request, read."""

    def __init__(self, store: Store, query: str, header: str | None, raw: bytes, ids: tuple[str, ...]) -> None:
        self.store = store
        self.query = parse_qs(query, keep_blank_values=True)
        self._header = header
        self._raw = raw
        self._ids = ids

    def allow(self, *roles: str) -> Any:
        """The user, if he may."""
        return self.store.accounts.authorize(self._header, *roles)

    def body(self) -> Any:
        """The JSON of the body; broken or too long it is an error that the API did not foresee."""
        if len(self._raw) > LIMIT_BYTES:
            raise unforeseen()
        try:
            return json.loads(self._raw or b"{}")
        except ValueError:
            raise unforeseen() from None

    def id(self) -> int:
        """The number in the path."""
        if not self._ids[0].isdecimal():
            raise unforeseen()
        return int(self._ids[0])


def _poll(request: Request) -> Answer:
    answer = request.store.poll(request.query.get("jobType", []))  # the schema comes before the user
    request.allow("ANALYST")
    return answer


def _assign(request: Request) -> Answer:
    body = request.body()
    request.store.check_claim(body)
    request.allow("ANALYST")
    return request.store.assign(body)


def _conclude(request: Request) -> Answer:
    body = request.body()
    request.store.check_result(body)
    request.allow("ANALYST")
    return request.store.conclude(request.id(), body)


def _detail(request: Request) -> Answer:
    request.allow("ANALYST")
    return request.store.detail(request.id())


def _create(request: Request) -> Answer:
    body = request.body()
    return request.store.ask(body, request.allow("ANALYST"))


def _cancel(request: Request) -> Answer:
    request.allow("ANALYST")
    return request.store.cancel(request.id())


def _download(request: Request) -> Answer:
    request.allow("ANALYST")
    job = request.store.detail(request.id()).body["job"]
    if job["status"] != "SUCCEEDED":
        raise domain(400, "Job has no results to download")
    first = min((one for one in job["assignments"] if one["result"]), key=lambda one: one["id"])
    files = request.store.list_files(first["storage_uri"])
    if len(files) > FILES_MAX:
        raise domain(400, "Too many files to download")
    return Answer(200, {"job": {name: job[name] for name in ("id", "type", "status")}, "files": files})


def _time_out(request: Request) -> Answer:
    body = request.body()
    request.allow("ADMIN")
    late = request.store.time_out(body.get("timeoutThresholdMinutes", 120) * 60)
    return Answer(200, {"totalTimedOut": len(late), "byType": {}, "timedOutJobIds": late})


ROUTES: tuple[tuple[str, str, re.Pattern[str], Call], ...] = (
    ("login", "POST", re.compile(r"/api/auth/login"), lambda request: request.store.accounts.login(request.body())),
    ("token", "POST", re.compile(r"/api/auth/token"), lambda request: request.store.accounts.refresh(request.body())),
    ("poll", "GET", re.compile(r"/api/jobs/poll"), _poll),
    ("assign", "POST", re.compile(r"/api/jobs/assign"), _assign),
    ("result", "POST", re.compile(r"/api/jobs/assignments/([^/]+)/result"), _conclude),
    ("job", "GET", re.compile(r"/api/jobs/([^/]+)"), _detail),
    ("create", "POST", re.compile(r"/api/jobs"), _create),
    ("cancel", "POST", re.compile(r"/api/jobs/([^/]+)/cancel"), _cancel),
    ("download", "GET", re.compile(r"/api/jobs/([^/]+)/download"), _download),
    ("timeout", "POST", re.compile(r"/api/admin/timeout-jobs"), _time_out),
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = KEEP_ALIVE_S
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        url = urlsplit(f"http://stand-in{self.requestline.split()[1]}")  # `path` has lost a doubled slash
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, call, ids = _route(self.command, url.path)
        faults = self.server.faults
        faults.seen[name] += 1
        faults.moments.append((time.monotonic(), name))
        rule = faults.take(name)
        if rule is not None and rule.kind == "drop":
            self.close_connection = True
            return
        answer = _before(rule)
        if answer is None:
            request = Request(self.server.store, url.query, self.headers.get("Authorization"), raw, ids)
            answer = _work(call, request) if call else no_route(self.command, url.path)
        faults.answered[name, answer.status] += 1
        self._answer(answer, rule)

    def _answer(self, answer: Answer, rule: Rule | None) -> None:
        if rule is not None and rule.kind == "lose":
            self.close_connection = True
            return
        if rule is not None and rule.kind == "stall":
            time.sleep(rule.for_s)
        raw, content_type = answer.raw()
        self.send_response(answer.status)
        for header in answer.headers:
            self.send_header(*header)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if rule is not None and rule.kind == "trickle":
            for place in range(len(raw)):
                self.wfile.write(raw[place : place + 1])
                self.wfile.flush()
                time.sleep(rule.for_s)
        else:
            self.wfile.write(raw)
        self.wfile.flush()


def _route(method: str, path: str) -> tuple[str, Call | None, tuple[str, ...]]:
    for name, verb, pattern, call in ROUTES:
        found = pattern.fullmatch(path)
        if found and verb == method:
            return name, call, found.groups()
    return "unknown", None, ()


def _before(rule: Rule | None) -> Answer | None:
    """What is answered without anything being done."""
    match rule:
        case Rule(kind="error"):
            return unforeseen().answer
        case Rule(kind="garble"):
            return Answer(200, "<html>a proxy</html>", is_html=True)
        case Rule(kind="busy", for_s=for_s):
            return Answer(429, {"error": "Too many attempts."}, (("Retry-After", f"{for_s:g}"),))
    return None


def _work(call: Call, request: Request) -> Answer:
    try:
        return call(request)
    except Refusal as refusal:
        return refusal.answer


class StandIn:
    """The stand-in, listening on a port of the loopback address (0: any), from `start` to `stop`."""

    def __init__(self, store: Store | None = None, port: int = 0) -> None:
        self.store = store or Store()
        self.faults = Faults()
        self._server = _Server(port, self.store, self.faults)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """What `API_ENDPOINT` is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
