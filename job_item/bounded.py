"""Work that may take no longer than so much, whatever it waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def within(whole_s: float, work: Callable[[], Result], late: Exception) -> Result:
    """Do something in a thread that is left alone when it takes too long: a drop of answer each second has no end.

    Raises what `work` raises, and `late` after `whole_s` seconds.
    """
    done: list[Result] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(whole_s)
    if failed:
        raise failed[0]
    if not done:
        raise late
    return done[0]
