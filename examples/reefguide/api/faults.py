"""Switches for what goes wrong between a worker and the API, and counters of what came in."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal["drop", "lose", "stall", "error", "garble", "busy", "trickle"]
"""drop: the connection ends before anything is done; lose: it is done, and the answer is lost; stall: it is done, and
the answer comes after `for_s`; error: 500 and nothing is done; garble: 200 with no JSON; busy: 429 with Retry-After
`for_s`; trickle: one byte of the answer a second."""


@dataclass
class Rule:
    """A fault that the next `times` requests of a route meet."""

    route: str
    kind: Kind
    times: int
    for_s: float


class Faults:
    """What goes wrong, by route: `login`, `token`, `poll`, `assign`, `result`, `job`, or `*` for all."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        """Requests by route, those that met a fault included."""
        self.answered: Counter[tuple[str, int]] = Counter()
        """Answers by route and status."""
        self.moments: list[tuple[float, str]] = []
        """When (monotonic) which route was asked for."""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, route: str, kind: Kind, times: int = 1, for_s: float = 1.0) -> None:
        """Let the next `times` requests of `route` meet a fault."""
        with self._lock:
            self._rules.append(Rule(route, kind, times, for_s))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._rules.clear()

    def take(self, route: str) -> Rule | None:
        """The fault that this request meets."""
        with self._lock:
            for rule in self._rules:
                if rule.route in ("*", route) and rule.times:
                    rule.times -= 1
                    return rule
        return None
