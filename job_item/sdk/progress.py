"""How far a script has come: shown where it runs, and sent as notifications at a bearable rate."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from job_item.errors import Unavailable
from job_item.sdk.surroundings import is_in_job, notification_url

INTERVAL_S = 1.0
"""Between two that are sent or shown; the first and the last (all done) never wait."""
_SLACK = 1e-9


class Progress:
    """Remembers when it last spoke. `now` is a monotonic clock, `send` sends one text."""

    def __init__(self, now: Callable[[], float], send: Callable[[str], None]) -> None:
        self._now = now
        self._send = send
        self._due = float("-inf")
        self._last = ""

    def __call__(self, current: float, total: float | None = None, text: str = "") -> None:
        """Say how far this script has come: `progress(0.25)`, `progress(3, 12)`, `progress(3, 12, "cutting")`.

        `current` is a share of 1, or of `total` where that is given. It is printed on standard output and, in a job,
        sent as a notification `25 % cutting`: at most once a second, but at the beginning and the end in any case.
        A node that is away for the moment is no error: the next one tells more.

        Raises ValueError for numbers that are no share, and `job_item.errors.NodeError` as `notify`, except for
        ERR-REP-004.
        """
        share = share_of(current, total)
        line = " ".join(filter(None, (f"{int(100 * share + _SLACK)} %", text)))
        is_over = share >= 1
        if line == self._last or (self._now() < self._due and not is_over):
            return
        self._last = line
        _show(line, is_over)
        self._send(line)
        self._due = self._now() + INTERVAL_S


def share_of(current: float, total: float | None) -> float:
    """Give the share of 1 that is done. Raises ValueError."""
    if total is not None and not total > 0:
        raise ValueError(f"total has to be above 0, not {total}")
    share = current / (1 if total is None else total)
    if not -_SLACK <= share <= 1 + _SLACK:
        raise ValueError(
            f"{current} of {1 if total is None else total} is no share; progress(current, total) or 0 to 1"
        )
    return min(1.0, max(0.0, share))


def _show(line: str, is_over: bool) -> None:
    """Print a line; on a terminal in the place of the one before."""
    try:
        if sys.stdout.isatty():
            print(f"\r\x1b[K{line}", end="\n" if is_over else "", flush=True)
        else:
            print(line, flush=True)
    except OSError:  # nobody reads it any more; the notification still goes
        return


def _send(line: str) -> None:
    if not is_in_job(os.environ):
        return
    from job_item.sdk.courier import Courier, Patience
    from job_item.sdk.notification import send_text

    courier = Courier(Patience(attempts=1, connect_s=5.0, silence_s=5.0))
    try:
        send_text(courier, notification_url(os.environ), lambda: (line.encode("utf-8", "replace"),))
    except Unavailable:
        return


progress = Progress(time.monotonic, _send)
"""One for the script: only the process as a whole can know when it last spoke."""
