"""How the parent notices that it was stopped itself, or the whole machine; pure.

The silence that a child is allowed is cut into `_SHARES` waits at least. A stop that eats up more than two of them is
noticed, since one of these waits comes back late; a shorter one leaves a child that beats two of them.
"""

from __future__ import annotations

_SHARES = 4
_LATE_S = 2.0
"""With silences so long that a share is longer than this, what is later than this is noticed too."""


def end_of_wait_s(due_s: float | None, silence_s: float, now_s: float) -> float | None:
    """When a wait has to end that is due at `due_s` (monotonic seconds; None: for nothing)."""
    return None if due_s is None else min(due_s, now_s + silence_s / _SHARES)


def slept_s(end_s: float | None, silence_s: float, now_s: float) -> float | None:
    """How long this process was stopped, as far as that is known, when a wait that had to end at `end_s` has ended at
    `now_s`; None if it was not.
    """
    late_s = 0.0 if end_s is None else now_s - end_s
    return late_s if late_s > min(_LATE_S, silence_s / _SHARES) else None
