"""Who wants the settings read again, and in which order that is done: pure.

One reading at a time. What is asked while one runs makes one more, however often it is asked; dry readings are one for
each order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

WAITING_MAX = 64
"""Orders that may wait; an order beyond that is refused."""

Order = TypeVar("Order")


@dataclass(frozen=True, slots=True)
class Request(Generic[Order]):
    """One reading to come, and the orders that it answers.

    `asks_manager`: the Job Manager is to be asked anew, else its last answer will do. `is_routine`: nobody waits for it
    and nothing is known to have changed.
    """

    orders: tuple[Order, ...] = ()
    is_dry: bool = False
    candidate: str | None = None
    asks_manager: bool = True
    is_routine: bool = False

    def joined(self, other: Request[Order]) -> Request[Order]:
        """The reading that does for both what they want."""
        return replace(
            self,
            orders=self.orders + other.orders,
            asks_manager=self.asks_manager or other.asks_manager,
            is_routine=self.is_routine and other.is_routine,
        )


@dataclass(frozen=True, slots=True)
class Requests(Generic[Order]):
    """The reading that runs, and those that wait."""

    running: Request[Order] | None = None
    waiting: tuple[Request[Order], ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether no more orders can wait."""
        return sum(1 + len(request.orders) for request in self.waiting) >= WAITING_MAX

    def ask(self, request: Request[Order]) -> Requests[Order]:
        """Ask for a reading; one that is to take effect joins another that waits for the same."""
        if not request.is_dry:
            for index, other in enumerate(self.waiting):
                if not other.is_dry:
                    joined = other.joined(request)
                    return replace(self, waiting=(*self.waiting[:index], joined, *self.waiting[index + 1 :]))
        return replace(self, waiting=(*self.waiting, request))

    def begin(self) -> Requests[Order]:
        """Take the next to be run; nothing changes while one runs, or where none waits."""
        if self.running is not None or not self.waiting:
            return self
        return Requests(self.waiting[0], self.waiting[1:])

    def end(self) -> Requests[Order]:
        """The one that ran is done."""
        return replace(self, running=None)
