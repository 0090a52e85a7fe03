"""Which waiting job is next: each event has a line, and events take turns.

The line of an event that is configured no more is put aside as it is, and waits for its return.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

from job_item.settings import Job
from worker.execute import Execution
from worker.journal import Journal, Waiting
from worker.line import Line
from worker.pauses import Pauses


class Turns:
    """The lines of all events. `on_due` is called when jobs are back in their lines whose pause is over."""

    def __init__(self, journal: Journal, on_due: Callable[[], None]) -> None:
        self._journal = journal
        self._lines: dict[str, Line] = {}
        self._turns: OrderedDict[str, Line] = OrderedDict()
        """The lines of the events that are configured; whose turn it is stands first."""
        self.pauses = Pauses(self.put_back, on_due)

    def refresh(self, specs: Mapping[str, Job]) -> None:
        """Go by what is in force now."""
        for event in self._turns.keys() - specs.keys():
            del self._turns[event]
        for event, spec in specs.items():
            line = self._lines.get(event)
            if line is None:
                line = self._lines[event] = Line(spec)
            line.spec = spec
            self._turns.setdefault(event, line)

    def configured(self, event: str) -> Line | None:
        """The line of an event that is configured."""
        return self._turns.get(event)

    def grow(self, event: str) -> None:
        """The journal has a new job for `event`, which is configured, or was."""
        self._lines[event].grow()

    def put_back(self, event: str, waiting: Waiting) -> bool:
        """Have a job stand again where it came in; False where its event was never configured."""
        line = self._lines.get(event)
        if line is not None:
            line.put_back(waiting)
        return line is not None

    def next(self, running: Mapping[str, Execution]) -> tuple[Line, Waiting] | None:
        """The job that may start now, with its line, which goes to the end of the turns; None when there is none.

        A job of `running` is passed over, and is told so: left in a pause and lent again, it has two places here.
        """
        for event, line in tuple(self._turns.items()):
            postpone = partial(self.pauses.begin, event)
            waiting = line.take(self._journal, postpone)
            while waiting is not None and (execution := running.get(waiting.task_id)) is not None:
                execution.is_due = True
                waiting = line.take(self._journal, postpone)
            if waiting is not None:
                self._turns.move_to_end(event)
                return line, waiting
        return None
