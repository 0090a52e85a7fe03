"""Whether the clock is right, and the one that durations are measured by is sane; whether files can be watched."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from job_item.inotify import Inotify, NoInotify
from supervisor.doctor.line import Case, Line, fail, ok, warn

EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""This program is younger: a clock that is behind it is wrong."""

SAMPLE_S = 0.05
DRIFT = 0.2
"""How far the two clocks may differ over the sample, as a part of it."""

WATCHES_LOW = 64

_TIME_ERROR = 5
_SIZE_OF_TIMEX = 512
"""More than the structure has anywhere."""


def system_clock(
    _case: Case, now: Callable[[], float] = time.time, state: Callable[[], int] | None = None
) -> Iterator[Line]:
    """Whether the clock tells a possible time and is kept by a time server."""
    moment = datetime.fromtimestamp(now(), UTC)
    if moment < EARLIEST:
        yield fail("clock", "ERR-HST-109", f"The clock says {moment:%Y-%m-%d %H:%M} UTC, which is long past.")
        return
    if (state or kernel_clock_state)() == _TIME_ERROR:
        yield warn("clock", "ERR-HST-109", "The kernel says that the clock is not synchronised.")
    else:
        yield ok("clock", f"The clock says {moment:%Y-%m-%d %H:%M:%S} UTC and is synchronised.")


def steady_clock(
    _case: Case, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Line]:
    """Whether the clock that durations are measured by goes forward, as fast as the machine's own.

    It is read on both sides of the other, as a busy machine may let time pass between any two looks.
    """
    before, raw, begun = clock(), time.clock_gettime(time.CLOCK_MONOTONIC_RAW), clock()
    sleep(SAMPLE_S)
    ended, truly, after = clock(), time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - raw, clock()
    least, most = ended - begun, after - before
    if least <= 0 or least > (1 + DRIFT) * truly or most < (1 - DRIFT) * truly:
        said = f"The steady clock went {least * 1000:.1f} to {most * 1000:.1f} ms while {truly * 1000:.1f} ms passed."
        yield fail("steady clock", "ERR-HST-110", said)
    else:
        yield ok("steady clock", "The steady clock goes forward at the right pace.")


def kernel_clock_state() -> int:
    """What adjtimex(2) returns: 5 where the clock is not synchronised; 0 where it cannot be asked."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_SIZE_OF_TIMEX)))
    except (OSError, AttributeError):
        return 0


def watches(case: Case, begin: Callable[[], Inotify] = Inotify) -> Iterator[Line]:
    """Whether the configuration can be watched for edits."""
    try:
        begin().close()
    except NoInotify:  # watchdog stands in, with watches of the same kind
        pass
    except OSError:
        yield warn("inotify", "ERR-HST-111", "No more files can be watched: edits of the settings go unseen.")
        return
    try:
        most = int((case.root / "proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        most = WATCHES_LOW
    if most < WATCHES_LOW:
        yield warn("inotify", "ERR-HST-111", f"Only {most} files can be watched by one user.")
    else:
        yield ok("inotify", "Edits of the settings are seen by themselves.")
