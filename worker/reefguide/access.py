"""The token that every call shows: refreshed while that is possible, logged in for as seldom as can be.

The API allows five log-ins in 15 minutes to all workers behind one address, successful ones counted (protocol
reefguide.md, section 3.5). So refreshing comes first, a failed log-in is followed by growing pauses, and what is known
stands in a file of the state folder: a node that was killed or restarted does not log in again.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from job_item.errors import Unavailable
from job_item.log import get
from job_item.policy import Backoff
from job_item.reefspec import ReefGuide
from job_item.reeftokens import Store, Tokens, life_of, owner_of
from worker.reefguide.exchange import Exchange, Request
from worker.reefguide.wire import Answer

FAILED_LOGINS = Backoff(30.0, 2.0, 900.0, 0.2)


class Busy(Unavailable):
    """Not now: it is of no use to ask again before `wait_s` seconds are over."""

    def __init__(self, code: str, message: str, wait_s: float) -> None:
        super().__init__(code, message)
        self.wait_s = wait_s


class Access:
    """Gives the token. One coroutine at a time renews it; the others take what it brings.

    `passing` is told of each call before it is sent and after it was answered (fault points).
    """

    def __init__(
        self, settings: ReefGuide, exchange: Exchange, file: Path, passing: Callable[[str, tuple[str, ...]], None]
    ) -> None:
        self._settings = settings
        self._exchange = exchange
        self._passing = passing
        self._lock = asyncio.Lock()
        self._store = Store(file, owner_of(settings.username, settings.api_endpoint))
        self._tokens = self._store.load(time.time())
        self._failures = 0

    @property
    def current(self) -> str | None:
        """The token that is shown just now; it may not last."""
        return self._tokens.access

    async def token(self) -> str:
        """A token that counts for a while. Raises Unavailable."""
        tokens = self._tokens
        if tokens.access and not tokens.is_stale(time.time()):
            return tokens.access
        return await self.renew(tokens.access)

    async def renew(self, old: str | None, *, by_login: bool = False) -> str:
        """Another token than `old`, which does not count (any more). Raises Unavailable."""
        async with self._lock:
            tokens = self._tokens
            if tokens.access and tokens.access != old and not tokens.is_stale(time.time()):
                return tokens.access
            refresh = tokens.refresh if not by_login and tokens.may_refresh(time.time()) else None
            if refresh is not None:
                access = await self._refresh(refresh)
                if access is not None:
                    return access
            return await self._login()

    def confirm(self) -> None:
        """A token was taken."""
        self._failures = 0

    def distrust(self) -> Busy:
        """Not even the token of a log-in is taken: hold the next one up, or this node uses up those of all others."""
        self._failures += 1
        wait_s = self._hold_up(None)
        return Busy("ERR-RFG-005", "the API takes no token, not even a new one", wait_s)

    async def _refresh(self, refresh: str) -> str | None:
        """A new access token; None where only logging in helps. Raises Unavailable."""
        answer = await self._ask("/api/auth/token", {"refreshToken": refresh})
        access = _text(answer, "token")
        if access is not None:
            self._keep(self._tokens.made(access, life_of(access), time.time()))
            return access
        if answer.status == 401:
            return None
        raise _unexpected(answer)

    async def _login(self) -> str:
        wait_s = self._tokens.login_wait_s(time.time())
        if wait_s > 0:
            raise Busy("ERR-RFG-007", f"the next log-in is tried in {wait_s:.0f} s", wait_s)
        secret = self._settings.password.get_secret_value()
        answer = await self._ask("/api/auth/login", {"email": self._settings.username, "password": secret})
        access, refresh = _text(answer, "token"), _text(answer, "refreshToken")
        if access is not None:
            self._keep(Tokens.given(access, life_of(access), refresh, time.time()))
            get("worker").info("api.logged_in", user=self._settings.username)
            return access
        raise self._refused(answer)

    def _refused(self, answer: Answer) -> Unavailable:
        """Hold the next log-in up, and say why."""
        self._failures += 1
        if answer.status == 429:
            wait_s = self._hold_up(answer.retry_after_s)
            return Busy("ERR-RFG-007", f"the next log-in is tried in {wait_s:.0f} s", wait_s)
        if answer.status in (400, 401):
            return Busy("ERR-RFG-005", f"the API refuses {self._settings.username}: {answer}", self._hold_up(None))
        return _unexpected(answer)

    def _hold_up(self, wait_s: float | None) -> float:
        """Let nobody log in for so long, or for longer with each failure; returns the seconds."""
        if wait_s is None:
            wait_s = FAILED_LOGINS.delay_s(self._failures, random.random())  # noqa: S311 - chance against herds
        self._keep(self._tokens.held_up(time.time(), wait_s))
        return wait_s

    async def _ask(self, path: str, body: dict[str, str]) -> Answer:
        self._passing("asked", ("login",))
        answer = await self._exchange.ask(Request("POST", path, json.dumps(body).encode()))
        self._passing("answered", ("login",))
        return answer

    def _keep(self, tokens: Tokens) -> None:
        """Keep them; without the file the next process logs in, so a full disk is no reason to stop."""
        self._tokens = tokens
        try:
            self._store.save(tokens)
        except OSError as error:
            get("worker").warning("tokens.unkept", reason=str(error))


def _text(answer: Answer, name: str) -> str | None:
    content = answer.json() if answer.status == 200 else None
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, str) and found else None


def _unexpected(answer: Answer) -> Unavailable:
    return Unavailable("ERR-RFG-004", f"the API answered {answer}")
