"""How busy the processors are: protocol section 8.2, from `/proc/stat`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from job_item.hardware.query import ROOT, ask

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""The columns of `/proc/stat`; two more, the guests' times, are contained in `user` and `nice` already."""


class Times(NamedTuple):
    """What one processor has done since the boot, in ticks by mode."""

    ticks: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.ticks)

    @property
    def busy(self) -> int:
        """Everything but idle and iowait."""
        return self.total - self.ticks[3] - self.ticks[4]


def processor_times(root: Path = ROOT) -> list[Times]:
    """The times of each logical processor. Raises `Unknown`."""
    return ask("processor load", lambda: _times(root))


def utilisation(before: Sequence[Times], after: Sequence[Times]) -> list[float]:
    """How busy each processor was between two looks, in percent: `data` of `listen_cpu_information` (protocol 8.2)."""
    return [_percent(first, second) for first, second in zip(before, after, strict=False)]


def ticks_per_s() -> int:
    """How many ticks of `/proc/stat` are a second."""
    return os.sysconf("SC_CLK_TCK")


def _times(root: Path) -> list[Times]:
    rows = (line.split() for line in (root / "proc/stat").read_text().split("\n"))
    found = [
        Times((*map(int, row[1 : len(MODES) + 1]), *(0,) * (len(MODES) + 1 - len(row))))
        for row in rows
        if row and row[0].startswith("cpu") and row[0] != "cpu"
    ]
    if not found:
        raise ValueError("no processor is listed")
    return found


def _percent(before: Times, after: Times) -> float:
    if after.busy <= before.busy:
        return 0.0
    if after.total <= before.total:
        return 100.0
    return min(100.0, (after.busy - before.busy) / (after.total - before.total) * 100.0)
