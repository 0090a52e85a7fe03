"""How the node stands with its Job Manager, as far as readings of the settings tell, and when it is asked again."""

from __future__ import annotations

import random
import time

from job_item.manager.state import ManagerState
from job_item.plainlog import PlainLog
from supervisor.liaison import Liaison, Line, heard, offered, told
from supervisor.plan import Plan
from supervisor.reading import Reading

AREA = "ERR-MGR-"
"""How the codes of the Job Manager begin."""


class Envoy:
    """Goes to the Job Manager in time, and says when it is lost and when it is back."""

    def __init__(self, plan: Plan, log: PlainLog) -> None:
        self.state: ManagerState | None = plan.manager
        """None without a Job Manager."""
        self._log = log
        self._liaison = Liaison.begin(plan, time.monotonic(), _draw())
        self._write(offered(None, self.state.offer if self.state else None))

    @property
    def is_away(self) -> bool:
        """Whether there is a Job Manager that has not answered lately."""
        return self.state is not None and self.state.is_away

    @property
    def due_s(self) -> float | None:
        """When `goes` must come at the latest."""
        return self._liaison.due_s

    def goes(self, now_s: float) -> bool:
        """Whether it is to be asked now; once for each time."""
        if not self._liaison.is_due(now_s):
            return False
        self._liaison = self._liaison.ask(now_s)
        return True

    def hear(self, reading: Reading, plan: Plan) -> None:
        """Take what a reading has learnt; `plan` is in force unless the reading brings another."""
        if reading.faults:
            # Nothing was learnt of it, or a new one has not answered: ask again before long.
            is_away = self.state is not None or any(fault.code.startswith(AREA) for fault in reading.faults)
        else:
            before, self.state = self.state, heard(self.state, reading.manager)
            is_away = self.is_away
            self._write(told(before, self.state))
            self._write(offered(before.offer if before else None, self.state.offer if self.state else None))
        self._liaison = self._liaison.hear(reading.plan or plan, time.monotonic(), _draw(), is_away=is_away)

    def _write(self, line: Line | None) -> None:
        if line is not None and line.code:
            self._log.warning(line.event, code=line.code, **line.fields)
        elif line is not None:
            self._log.info(line.event, **line.fields)


def _draw() -> float:
    return random.random()  # noqa: S311 - chance against herds
