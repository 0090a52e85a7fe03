"""Calls of the ReefGuide API where nothing else is done meanwhile: by handlers, and by the command line.

A token lasts for ten minutes (protocol reefguide.md, section 3.2), a job for hours. So whoever calls shows the newest
of the node's own file, and refreshes it where that one is over too, which is free and takes nothing from the node. The
job child has an exchange of its own.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import requests

from job_item.reeftokens import Store, Tokens, life_of

CONNECT_S = 5.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Bearer:
    """The token of a user, in a process that does not log in."""

    def __init__(self, calls: Calls, store: Store | None, first: str | None = None) -> None:
        """Parameters: `store`, where the node keeps its tokens; `first`, the token to show while nothing is there."""
        self._calls = calls
        self._store = store
        self._first = first
        self._tokens = Tokens()

    def token(self, refused: str | None = None) -> str | None:
        """One that counts, other than `refused`; None where only logging in helps. Raises RequestException."""
        if self._is_good(self._tokens, refused):
            return self._tokens.access
        kept = self._store.load(time.time()) if self._store is not None else Tokens()
        if self._is_good(kept, refused):
            self._tokens = kept
            return kept.access
        if kept.refresh is not None and kept.may_refresh(time.time()):
            access = self._calls.refresh(kept.refresh)
            if access is not None:
                self._tokens = kept.made(access, life_of(access), time.time())
                return access
        return self._first if self._first != refused else None

    @staticmethod
    def _is_good(tokens: Tokens, refused: str | None) -> bool:
        return tokens.access is not None and tokens.access != refused and not tokens.is_stale(time.time())


class Calls:
    """Requests to one API, each with a time-out; made anew once where a kept connection was closed under a GET."""

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        """Parameters: `endpoint`, the address without `/api`; `timeout_s`, how long the server may be silent."""
        self._endpoint = endpoint.rstrip("/")
        self._timeouts_s = (min(CONNECT_S, timeout_s), timeout_s)
        self._session = requests.Session()
        # No proxy stands before this machine itself.
        self._session.trust_env = urlsplit(endpoint).hostname not in _LOOPBACK

    def ask(
        self, method: str, path: str, bearer: str | None = None, *, body: Any = None, query: Any = None
    ) -> requests.Response:
        """Send one request to a `path` below the endpoint. Raises RequestException when there is no answer."""
        send = self._session.request

        def show(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
            if bearer is not None:
                prepared.headers["Authorization"] = f"Bearer {bearer}"
            return prepared  # as `auth`, so that no .netrc takes its place

        given: dict[str, Any] = {
            "url": f"{self._endpoint}/{path.lstrip('/')}",
            "params": query,
            "json": body,
            "auth": show,
            "timeout": self._timeouts_s,
            "allow_redirects": False,
        }
        try:
            return send(method, **given)
        except requests.ConnectionError as error:
            if method != "GET" or isinstance(error, requests.Timeout):
                raise
        return send(method, **given)

    def refresh(self, refresh: str) -> str | None:
        """A new access token; None where the refresh token does not count. Raises RequestException."""
        answer = self.ask("POST", "/api/auth/token", body={"refreshToken": refresh})
        return text_of(answer, "token")

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()


def is_bearer_refused(answer: requests.Response) -> bool:
    """Whether the token does not count: told by plain text (section 3.6)."""
    return answer.status_code == 401 and not text_of(answer, "message")


def text_of(answer: requests.Response, name: str) -> str | None:
    """A text in the JSON of an answer."""
    try:
        content = answer.json()
    except ValueError:
        return None
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, str) and found else None
