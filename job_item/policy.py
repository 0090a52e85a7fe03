"""When to try again after a failure: back-off, windows and the restart of children. Pure: time and chance come in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from job_item.exits import Exit


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow by `factor` from `base_s` to `cap_s` seconds.

    `jitter` is the share of a pause that chance may take away (0 to 1), so that many that failed together do not come
    back together and no pause is longer than `cap_s`.
    """

    base_s: float
    factor: float
    cap_s: float
    jitter: float

    def delay_s(self, failures: int, draw: float) -> float:
        """The pause after so many failures in a row (1 or more); `draw` is a random number in [0, 1)."""
        steps = min(failures - 1, 64)  # beyond that a float may overflow, and any cap is long reached
        return min(self.cap_s, self.base_s * self.factor**steps) * (1 - self.jitter * draw)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` events within any `window_s` seconds; `moments` are those that still count."""

    limit: int
    window_s: float
    moments: tuple[float, ...] = ()

    def add(self, now_s: float) -> Window:
        """The window with one more event."""
        return replace(self, moments=(*self._counting(now_s), now_s))

    def wait_s(self, now_s: float) -> float:
        """Seconds until one more event fits; 0 when it fits now."""
        counting = self._counting(now_s)
        if len(counting) < self.limit:
            return 0.0
        return counting[-self.limit] + self.window_s - now_s

    def _counting(self, now_s: float) -> tuple[float, ...]:
        return tuple(moment for moment in self.moments if moment + self.window_s > now_s)


@dataclass(frozen=True, slots=True)
class Again:
    """Start a successor, `after_s` seconds from now."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Start no successor: the node ends with this exit code."""

    exit_code: int
    error_code: str


Verdict = Again | Stop


@dataclass(frozen=True, slots=True)
class Restarts:
    """What the parent remembers of one child's restarts.

    `late` holds the restarts after a child that had been ready, `early` those after one that had not; `failures` counts
    deaths before ready since a child of this room was ready for the last time.
    """

    early: Window
    late: Window = Window(limit=100, window_s=60.0)
    backoff: Backoff = Backoff(base_s=0.05, factor=2.0, cap_s=10.0, jitter=0.5)
    failures: int = 0

    def ready(self) -> Restarts:
        """A child has become ready: the back-off starts anew, the window forgets nothing."""
        return replace(self, failures=0)

    def judge(self, exit_code: int | None, was_ready: bool, now_s: float, draw: float) -> tuple[Restarts, Verdict]:
        """Decide what follows the death of a child that nobody asked to end (exit code None: it was never born)."""
        match exit_code:
            case Exit.CONFIGURATION:
                return self, Stop(Exit.CONFIGURATION, "ERR-SUP-013")
            case Exit.CASCADE:
                return self, Stop(Exit.CASCADE, "ERR-SUP-012")
        if was_ready or exit_code == Exit.RESTART:
            after_s = self.late.wait_s(now_s)
            return replace(self, late=self.late.add(now_s + after_s)), Again(after_s)
        if self.early.wait_s(now_s) > 0:
            return self, Stop(Exit.FAILURE, "ERR-SUP-004")
        failures = self.failures + 1
        delay_s = self.backoff.delay_s(failures, draw)
        return replace(self, early=self.early.add(now_s), failures=failures), Again(delay_s)
