"""The parent's side of updates that the Job Manager offers: it has them taken up, and hears when to make room.

What is done about an offer is done by a process of its own (`supervisor.taking`), so that the parent stays lean.
"""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Callable, Mapping
from functools import partial

from job_item.manager.offer import Offer
from job_item.plainlog import PlainLog
from supervisor.born import Born, bear
from supervisor.forkserver import Forkserver
from supervisor.plan import Plan
from supervisor.uptake import Taken, Uptake

LIMIT_S = 5400.0
"""How long it may take: its fetches and steps have bounds of their own, which are well below that."""
_DIED = Taken(code="ERR-UPD-001", reason="The process that looks at the offer has died.", will_pass=True)


class Updates:
    """Takes up what is offered; `give_way` is called when a version is staged."""

    def __init__(self, births: Forkserver, log: PlainLog, give_way: Callable[[], None]) -> None:
        self._births = births
        self._log = log
        self._give_way = give_way
        self._uptake = Uptake()
        self._taker: Born | None = None
        self._end_s = 0.0
        self._is_open = True

    @property
    def pids(self) -> frozenset[int]:
        """The process that looks at an offer just now."""
        return frozenset({self._taker.pid} if self._taker is not None else ())

    @property
    def due_s(self) -> float | None:
        """When `turn` must come at the latest."""
        if self._taker is not None:
            return self._end_s
        return self._uptake.due_s if self._is_open else None

    def sources(self) -> Mapping[int, Callable[[], None]]:
        """What to wait for, and what to do then."""
        if self._taker is None:
            return {}
        return {self._taker.grave: partial(self._bury, self._taker)}

    def turn(self, plan: Plan, offer: Offer | None) -> None:
        """Do what time asks for; `plan` is in force, and `offer` stands."""
        if not self._is_open:
            return
        now_s = time.monotonic()
        self._uptake = self._uptake.see(offer if plan.takes_updates else None, plan.digest, now_s)
        if self._taker is not None:
            if now_s >= self._end_s:
                self._taker.kill()
        elif self._uptake.due_s is not None and now_s >= self._uptake.due_s:
            self._begin(plan, now_s)

    def close(self) -> None:
        """The node stops or makes room: nothing is taken up any more."""
        self._is_open = False
        if self._taker is not None:
            self._taker.kill()

    def _begin(self, plan: Plan, now_s: float) -> None:
        self._uptake = self._uptake.begin()
        try:
            self._taker = Born(*bear(self._births, "update", "supervisor.taking:main", plan.start), self._births)
            self._end_s = now_s + LIMIT_S
        except (OSError, EOFError) as error:
            self._hear(Taken(code=_DIED.code, reason=f"No process can be started: {error}.", will_pass=True))

    def _bury(self, taker: Born) -> None:
        """It has ended; what it sent fits into the buffer of its connection."""
        taken = _DIED
        if taker.has_message():
            try:
                taken = pickle.loads(taker.connection.recv_bytes())  # noqa: S301 - from a process of this node
            except Exception:  # whatever unpickling raises: the process is at fault
                taken = _DIED
        taker.bury()
        self._taker = None
        if self._is_open:
            self._hear(taken)

    def _hear(self, taken: Taken) -> None:
        self._uptake = self._uptake.hear(taken, time.monotonic(), random.random())  # noqa: S311 - chance against herds
        if taken.is_staged:
            self._log.info("update.staged", version=taken.version)
            self._give_way()
        else:
            self._log.warning("update.refused", code=taken.code, version=taken.version, reason=taken.reason)
