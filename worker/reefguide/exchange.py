"""One HTTP request and its answer, in a thread beside the loop: time-outs on everything, a bounded number at once.

The API closes connections that were idle for five seconds (protocol reefguide.md, section 4): one that has been idle
for longer than `IDLE_S` is not used again, and a GET that meets a closed one is sent once more.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import requests

from job_item.errors import Unavailable
from worker.aside import aside
from worker.reefguide.wire import Answer

AT_ONCE = 8
"""Threads that wait for the API at the same time."""
IDLE_S = 4.0
CONNECT_S = 5.0
LIMIT_BYTES = 8 << 20
BLOCK_BYTES = 64 << 10
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `bearer` None where no token is to be shown."""

    method: str
    path: str
    body: bytes | None = None
    bearer: str | None = None
    query: tuple[tuple[str, str], ...] = ()


class Exchange:
    """Sends requests to one server.

    Parameters: `base_url`, without a slash at its end; `timeout_s`, how long an answer may take in all.
    """

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._is_local = urlsplit(base_url).hostname in _LOOPBACK
        self._few = asyncio.Semaphore(AT_ONCE)
        self._rested: list[tuple[float, requests.Session]] = []
        self._lock = threading.Lock()

    async def ask(self, request: Request) -> Answer:
        """Send a request. Raises Unavailable (ERR-RFG-004) when there is no whole answer in time."""
        await self._few.acquire()
        future = aside(partial(self._ask, request))
        future.add_done_callback(self._let_next)
        # A thread that hangs for longer goes on counting among those that there may be.
        done, _ = await asyncio.wait({future}, timeout=self._timeout_s + CONNECT_S)
        if not done:
            raise Unavailable("ERR-RFG-004", f"no whole answer within {self._timeout_s:g} s")
        return future.result()

    def close(self) -> None:
        """Let go of the connections that rest."""
        while (session := self._take()) is not None:
            session.close()

    def _let_next(self, future: asyncio.Future[Answer]) -> None:
        self._few.release()
        if not future.cancelled():
            future.exception()  # told to whoever waits, and to nobody where nobody does

    def _ask(self, request: Request) -> Answer:
        deadline_s = time.monotonic() + self._timeout_s
        try:
            return self._send(request, deadline_s)
        except requests.ConnectionError as error:
            if request.method != "GET" or isinstance(error, requests.ConnectTimeout):
                raise _lost(error) from error
        except requests.RequestException as error:
            raise _lost(error) from error
        try:
            return self._send(request, deadline_s)
        except requests.RequestException as error:
            raise _lost(error) from error

    def _send(self, request: Request, deadline_s: float) -> Answer:
        session = self._take() or self._open()
        headers = {"Accept": "application/json"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            with session.request(
                request.method,
                self._base_url + request.path,
                params=list(request.query),
                data=request.body,
                headers=headers,
                auth=partial(_show, request.bearer),
                timeout=(CONNECT_S, self._timeout_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read(response, deadline_s)
                answer = Answer(response.status_code, body, _retry_after_s(response.headers.get("Retry-After")))
        except BaseException:
            session.close()
            raise
        with self._lock:
            self._rested.append((time.monotonic(), session))
        return answer

    def _take(self) -> requests.Session | None:
        """A session whose connection the server still holds open."""
        while True:
            with self._lock:
                rested = self._rested.pop() if self._rested else None
            if rested is None:
                return None
            since_s, session = rested
            if time.monotonic() - since_s < IDLE_S:
                return session
            session.close()

    def _open(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = not self._is_local  # no proxy stands before this machine itself
        session.headers["User-Agent"] = "job_item"
        return session


def _show(bearer: str | None, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Show the token; given as `auth`, so that no .netrc takes its place."""
    if bearer is not None:
        prepared.headers["Authorization"] = f"Bearer {bearer}"
    return prepared


def _read(response: requests.Response, deadline_s: float) -> bytes:
    """The body, as it comes: neither its length nor its slowness is boundless. Raises RequestException."""
    body = bytearray()
    try:
        while block := response.raw.read1(BLOCK_BYTES, decode_content=True):
            body += block
            if len(body) > LIMIT_BYTES:
                raise requests.ConnectionError(f"the answer has more than {LIMIT_BYTES} bytes")
            if time.monotonic() > deadline_s:
                raise requests.Timeout("the answer comes too slowly")
    except OSError:
        raise
    except Exception as error:  # of the layer below, which has its own
        raise requests.ConnectionError(str(error)) from error
    return bytes(body)


def _retry_after_s(text: str | None) -> float | None:
    """Seconds to wait; a date is not what this API sends."""
    try:
        return max(float(text), 0.0) if text else None
    except ValueError:
        return None


def _lost(error: requests.RequestException) -> Unavailable:
    """Say in words why there is no answer."""
    if isinstance(error, requests.Timeout):
        return Unavailable("ERR-RFG-004", "no answer in time")
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable("ERR-RFG-004", f"TLS fails: {error}")
    return Unavailable("ERR-RFG-004", f"no connection, or it broke off: {error}")
