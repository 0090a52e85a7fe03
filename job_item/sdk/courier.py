"""Takes requests to the node and the Job Manager, and tries again while nobody answers. The one place with `requests`.

Time-outs are those of silence, never of the whole: as long as bytes go or come, nothing is given up.
"""

from __future__ import annotations

import os
import random
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from job_item import address
from job_item.errors import NodeError
from job_item.policy import Backoff
from job_item.sdk.answer import Answer, origin, refusal, said_by, shown, unavailable

ANSWER_LIMIT_BYTES = 1 << 20
"""What is read of an answer."""
BLOCK_BYTES = 1 << 16
"""What is sent in one go; half as fast again as the 16 KiB that are usual."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with silence and failure.

    `attempts`: tries in all. `connect_s`: silence while connecting, and while one block of the body is sent;
    `silence_s`: silence while an answer is awaited.
    """

    attempts: int = 6
    connect_s: float = 20.0
    silence_s: float = 120.0
    backoff: Backoff = Backoff(base_s=0.25, factor=2.0, cap_s=4.0, jitter=0.5)


class Body(Protocol):
    """What is sent as it is read, so that it need not fit into memory."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Any: ...
    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes, none at the end."""


class LostError(Exception):
    """A request came to no answer; `reason` says why, in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Blocks(HTTPAdapter):
    """Sends bodies in larger blocks."""

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        super().init_poolmanager(*args, blocksize=BLOCK_BYTES, **how)

    def proxy_manager_for(self, *args: Any, **how: Any) -> Any:
        return super().proxy_manager_for(*args, blocksize=BLOCK_BYTES, **how)


class Courier:
    """Sends requests from one script."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Blocks())
        self._session.trust_env = False  # no .netrc in the place of our key; certificates and proxies are asked below

    def post(self, url: str, make_body: Callable[[], bytes | Body], headers: Mapping[str, str], *, what: str) -> Answer:
        """Send a request until it is answered; `make_body` is called anew for each try.

        `what` names what is sent, for the messages. Raises `Unavailable` (ERR-REP-004: no answer, or 5xx, at every
        try), `BadMessage` or `NodeError` (ERR-REP-003: refused; that is not tried again).
        """
        attempt = 0
        while True:
            attempt += 1
            answer: Answer | None = None
            try:
                answer = self.send("POST", url, make_body(), headers)
                if answer.is_success:
                    return answer
                if answer.status < 500:
                    raise refusal(answer, url, what)
                reason = f"answers {said_by(answer)}"
            except LostError as error:
                reason = error.reason
            if not self.may_try_again(attempt):
                raise unavailable(url, what, reason, attempt, answer)

    def may_try_again(self, failures: int) -> bool:
        """Wait before the next try and tell whether there shall be one, after so many failures in a row."""
        if failures >= self.patience.attempts:
            return False
        delay_s = self.patience.backoff.delay_s(failures, random.random())  # noqa: S311 - no secret hangs on it
        time.sleep(delay_s)
        return True

    def send(self, method: str, url: str, body: bytes | Body | None, headers: Mapping[str, str]) -> Answer:
        """Send one request once; what a body raises while it is read passes through. Raises `LostError`."""
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                timeout=(self.patience.connect_s, self.patience.silence_s),
                allow_redirects=False,  # a redirected POST becomes a GET, and nothing would arrive
                stream=True,
                verify=certificates(os.environ),
                proxies={} if is_loopback(url) else get_environ_proxies(url),
            ) as response:
                lowered = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, response.reason or "", lowered, _read(response))
        except requests.exceptions.InvalidURL as error:
            raise NodeError("ERR-REP-002", f"{origin(url)} is no usable address.") from error
        except requests.exceptions.RequestException as error:
            if any(isinstance(inner, ssl.SSLCertVerificationError) for inner in chain(error)):
                raise NodeError("ERR-REP-005", f"{origin(url)} cannot be trusted: {cause(error)}.") from error
            raise LostError(_words(error)) from error
        except OSError as error:  # the file of certificates, which `requests` looks for itself
            raise NodeError("ERR-REP-005", f"The certificates cannot be read: {error}.") from error


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(1 << 16):
        content += chunk
        if len(content) >= ANSWER_LIMIT_BYTES:
            break
    return bytes(content[:ANSWER_LIMIT_BYTES])


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine, so that no proxy stands between."""
    return address.is_loopback(urlsplit(url).hostname or "")


def certificates(environ: Mapping[str, str]) -> str | bool:
    """The file or folder of certificates that the usual variables name; True takes those that came with `requests`."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return next((environ[name] for name in names if environ.get(name)), True)


def _words(error: requests.exceptions.RequestException) -> str:
    """Why no answer came, without the names of foreign classes."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "cannot be reached in time"
    if isinstance(error, requests.exceptions.Timeout):
        return "was silent for too long"
    return f"cannot be reached or broke off ({cause(error)})"


def cause(error: BaseException) -> str:
    """The innermost reason."""
    for inner in chain(error):
        if isinstance(inner, OSError) and inner.strerror:
            return shown(inner.strerror)
    return shown(str(error)) or type(error).__name__


def chain(error: BaseException) -> Iterable[BaseException]:
    """The reasons behind an error, the innermost first, as far as libraries tell them."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        inner = todo.pop()
        if isinstance(inner, BaseException) and inner not in seen:
            seen.append(inner)
            todo += [*inner.args, getattr(inner, "reason", None), inner.__cause__, inner.__context__]
    return [inner for inner in reversed(seen) if not isinstance(inner, requests.exceptions.RequestException)]
