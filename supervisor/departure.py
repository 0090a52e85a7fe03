"""When a node makes room for another version of itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Departure:
    """`asked_s` is when it was asked for (monotonic clock, seconds); `is_under_way`: nothing new begins any more."""

    asked_s: float | None = None
    is_under_way: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether another version waits for its turn."""
        return self.asked_s is not None

    def ask(self, now_s: float) -> Departure:
        """Another version is there; the first time counts."""
        return self if self.is_asked else replace(self, asked_s=now_s)

    def begin(self) -> Departure:
        """It is under way, whatever the reason."""
        return replace(self, is_under_way=True)

    def due_s(self, wait_s: float) -> float | None:
        """When it begins though jobs run; `wait_s` is for how long it may be put off, as the settings say now."""
        return None if self.asked_s is None or self.is_under_way else self.asked_s + wait_s

    def is_due(self, wait_s: float, now_s: float) -> bool:
        """Whether it has been put off for long enough."""
        due_s = self.due_s(wait_s)
        return due_s is not None and now_s >= due_s
