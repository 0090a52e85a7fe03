"""An even pace: what is due is done when it is due, whether the one before has been answered or not."""

from __future__ import annotations

import time
from collections.abc import Callable


def at_an_even_pace(per_s: float, count: int, do: Callable[[int], None]) -> None:
    """Call `do` with 0, 1, ... so often in a second."""
    begun = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, begun + number / per_s - time.perf_counter()))
        do(number)
