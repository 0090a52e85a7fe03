"""A clock for tests: the time of the loop, which can be set forward."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

STEPS = 20
TURNS = 20
"""What the loop gets after each step, to do what is due."""


async def pass_time(seconds: float) -> None:
    """Set the clock of the running loop forward, in steps after each of which all is done that is due."""
    loop = asyncio.get_running_loop()
    for _ in range(STEPS):
        loop.time = partial(_ahead_of, loop.time, seconds / STEPS)  # type: ignore[method-assign]  # a clock to set
        for _ in range(TURNS):
            await asyncio.sleep(0)


def _ahead_of(clock: Callable[[], float], by_s: float) -> float:
    return clock() + by_s
