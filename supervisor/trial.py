"""How a version proves itself: what its node says, and what follows from that. Pure.

It must be ready in time, go on saying that it gets on, lose no child, and be at it for as long as the settings want.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

SILENCE_S = 20.0
"""How long nothing may be heard of it; it is asked to speak twice as often."""
DEATHS = "X_JOB_ITEM_DEATHS"
"""How many of its children a node has lost: a line beside those of sd_notify(3), which has none for it."""
_EXTENSION_MAX_S = 120.0


class Verdict(StrEnum):
    """What is to be done about a version on trial."""

    WAIT = "wait"
    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Terms:
    """How soon a version must be ready, and for how long."""

    ready_s: float
    watch_s: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a version on trial. Moments are of the monotonic clock, in seconds.

    It is given up when it is not ready in time, unless it asks for more (EXTEND_TIMEOUT_USEC).
    """

    watch_s: float
    ready_end_s: float
    silence_end_s: float
    ready_s: float | None = None
    deaths: int = 0

    @classmethod
    def begin(cls, terms: Terms, now_s: float) -> Trial:
        """The version has just been started."""
        return cls(terms.watch_s, now_s + terms.ready_s, now_s + terms.ready_s + SILENCE_S)

    def hear(self, lines: Iterable[str], now_s: float) -> Trial:
        """It has said something; what cannot be understood is ignored."""
        trial = self
        for line in lines:
            name, _, value = line.partition("=")
            match name:
                case "READY" if trial.ready_s is None:
                    trial = replace(trial, ready_s=now_s, silence_end_s=now_s + SILENCE_S)
                case "WATCHDOG" if trial.ready_s is not None:
                    trial = replace(trial, silence_end_s=now_s + SILENCE_S)
                case "EXTEND_TIMEOUT_USEC" if value.isdecimal():
                    more_s = min(int(value) / 1e6, _EXTENSION_MAX_S)
                    trial = replace(trial, ready_end_s=max(trial.ready_end_s, now_s + more_s))
                case _ if name == DEATHS and value.isdecimal():
                    trial = replace(trial, deaths=int(value))
        return trial

    def wake(self, late_s: float) -> Trial:
        """Time in which nobody could run is part of no bound."""
        ready_s = None if self.ready_s is None else self.ready_s + late_s
        return replace(
            self,
            ready_end_s=self.ready_end_s + late_s,
            silence_end_s=self.silence_end_s + late_s,
            ready_s=ready_s,
        )

    @property
    def due_s(self) -> float:
        """When `judge` must be asked at the latest."""
        return self.ready_end_s if self.ready_s is None else min(self.silence_end_s, self.ready_s + self.watch_s)

    def judge(self, now_s: float) -> tuple[Verdict, str]:
        """What is to be done, and why."""
        if self.deaths:
            return Verdict.DROP, f"{self.deaths} of its children died"
        if self.ready_s is None:
            return (Verdict.DROP, "it was not ready in time") if now_s >= self.ready_end_s else (Verdict.WAIT, "")
        if now_s >= self.silence_end_s:
            return Verdict.DROP, f"it was silent for {SILENCE_S:g} s"
        return (Verdict.KEEP, "") if now_s >= self.ready_s + self.watch_s else (Verdict.WAIT, "")
