"""Orders of the API on their way to the execs child, and answers on their way back."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from job_item.orders import Answer, ExecOrder, Refusal
from supervisor.child import Child

_OUTSTANDING_MAX = 1000
_ABSENT = Refusal("ERR-SUP-022", "The execs child cannot take orders now: there is none, or it is being replaced.")
_LOST = Refusal("ERR-SUP-022", "The execs child ended before it had answered.")


class Exchange:
    """Carries each order under a number of its own: those of two job children, one after the other, may be the same."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._outstanding: dict[int, tuple[Child, int]] = {}

    def carry(self, asker: Child, order: ExecOrder, execs: Child | None) -> None:
        """Bring an order to the execs child; None where there is none that takes orders."""
        if execs is None or len(self._outstanding) >= _OUTSTANDING_MAX:
            asker.send(Answer(order.number, _ABSENT))
            return
        number = next(self._numbers)
        self._outstanding[number] = (asker, order.number)
        execs.send(replace(order, number=number))

    def give(self, answer: Answer) -> None:
        """Bring an answer to the job child that asked, if it still lives."""
        found = self._outstanding.pop(answer.number, None)
        if found is not None:
            asker, number = found
            asker.send(replace(answer, number=number))

    def lose(self, gone: Child) -> None:
        """A child is gone: nobody answers what it was to do (the execs child), or hears what it asked (the other)."""
        for number, (asker, theirs) in list(self._outstanding.items()):
            if asker is gone:
                del self._outstanding[number]
            elif gone.room is not asker.room:
                del self._outstanding[number]
                asker.send(Answer(theirs, _LOST))
