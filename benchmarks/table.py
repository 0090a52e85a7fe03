"""Figures, each beside its peer and its target, as Markdown and for a terminal."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Literal

from rich.console import Console
from rich.table import Table

Tier = Literal["smoke", "quick", "night"]
"""How many rounds: `smoke` is one, and shows that everything can be measured; its figures are not kept."""

HEADINGS = ("figure", "here", "limit or peer, same run", "ratio", "target", "met")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Without a target it is there to explain the others, and `met` is None."""

    what: str
    here: str
    beside: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """The line as text, in the order of `HEADINGS`."""
        met = {None: "", True: "yes", False: "**no**"}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (self.what, self.here, self.beside, ratio, self.target, met)


def amount(value: float, unit: str) -> str:
    """A number with about three digits that count, and its unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def at_least(what: str, value: float, floor: float, unit: str, *, beside: str = "") -> Figure:
    """A figure that has to reach `floor`."""
    target = f">= {floor:,g} {unit}".rstrip()
    return Figure(what, amount(value, unit), beside, value / floor, target, value >= floor)


def at_most(what: str, value: float, ceiling: float, unit: str, *, beside: str = "") -> Figure:
    """A figure that must not be above `ceiling`."""
    return Figure(
        what, amount(value, unit), beside, value / ceiling, f"<= {ceiling:,g} {unit}".rstrip(), value <= ceiling
    )


def against(what: str, value: float, unit: str, peer: tuple[str, float], floor: float) -> Figure:
    """A figure that has to reach `floor` times that of its peer (name, value)."""
    name, best = peer
    ratio = value / best
    return Figure(
        what, amount(value, unit), f"{name}: {amount(best, unit)}", ratio, f">= {floor:g} of it", ratio >= floor
    )


def percentile(values: Iterable[float], percent: int) -> float:
    """The value that `percent` of all values do not exceed."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def machine() -> str:
    """What the figures depend on, without naming the machine."""
    kernel = re.match(r"\d+\.\d+", platform.release())
    return (
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, "
        f"{platform.system()} {kernel[0] if kernel else ''}"
    )


def markdown(figures: Sequence[Figure], tier: Tier, load: float, notes: Sequence[tuple[str, str]]) -> str:
    """The page: the table, and in `notes` (subject, text) how each subject was measured.

    `load` is how many processes on average wanted to run in the minute before.
    """
    lines = [
        "# How fast and how small",
        "",
        f"Measured by `make bench` (tier `{tier}`) on a machine with {machine()}, where",
        f"{load:.1f} other processes wanted to run in the minute before (a quiet machine: near 0). Medians of several",
        "rounds; the node and what it is compared with run in turn, in the same run. A busy machine spoils times and",
        "rates, those of the peer too; processor time and memory it disturbs least. A ratio is the figure divided by",
        "its peer, or by its target where it has no peer.",
        "",
        _row(HEADINGS),
        _row(["---"] * len(HEADINGS)),
        *(_row(figure.cells()) for figure in figures),
        "",
        "## How",
        "",
        *(f"* **{subject}**: {text}" for subject, text in notes),
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table; what is missed stands out."""
    table = Table(*HEADINGS)
    for figure in figures:
        cells = (cell.replace("**", "") for cell in figure.cells())
        table.add_row(*cells, style={None: "dim", True: "", False: "bold red"}[figure.met])
    console.print(table)
