"""The answers that somebody waits for on one connection, and until when: one alarm for all, as most come in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Awaited:
    """`on_silence` is called, with the time that was allowed in seconds, when an answer has not come within it."""

    def __init__(self, on_silence: Callable[[float], None]) -> None:
        self._on_silence = on_silence
        self._until: dict[asyncio.Future[Any], tuple[float, float]] = {}
        """When each has to be there, and how long it was given."""
        self._alarm: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def add(self, answer: asyncio.Future[Any], limit_s: float) -> None:
        """Somebody waits for this one, `limit_s` seconds at most."""
        until_s = self._loop.time() + limit_s
        self._until[answer] = until_s, limit_s
        if self._alarm is None or until_s < self._alarm.when():
            self._set_alarm(until_s)

    def drop(self, answer: asyncio.Future[Any]) -> None:
        """Nobody does any more."""
        self._until.pop(answer, None)

    def fail(self, reason: Exception) -> None:
        """None will come."""
        if self._alarm is not None:
            self._alarm.cancel()
        for answer in self._until:
            if not answer.done():
                answer.set_exception(reason)

    def _set_alarm(self, at_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if not self._until:
            return
        until_s, limit_s = min(self._until.values())
        if until_s <= self._loop.time():
            self._on_silence(limit_s)
        else:
            self._set_alarm(until_s)
