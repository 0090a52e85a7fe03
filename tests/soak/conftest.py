"""Slices of the long tiers: `SOAK_SLICE=3/20` does the third of twenty parts, with chance of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a tier: the `number`-th of `of`, counted from 1."""

    number: int = 1
    of: int = 1

    def share(self, count: int) -> int:
        """How much of `count` falls to this part; the shares of all parts are `count` together."""
        return count * self.number // self.of - count * (self.number - 1) // self.of

    def seed(self, seed: int) -> int:
        """The seed of this part, in place of that of the whole."""
        return seed + (self.number - 1) * 1_000


@pytest.fixture(scope="session")
def part() -> Slice:
    """Which part of a tier this is; all of it where nothing else is asked for."""
    number, _, of = os.environ.get("SOAK_SLICE", "1/1").partition("/")
    made = Slice(int(number), int(of))
    if not 1 <= made.number <= made.of:
        raise ValueError("SOAK_SLICE is to be NUMBER/OF, with a number from 1 to OF.")
    return made
