"""Fill in what the README says of measurements, from docs/guarantees.md and benchmarks/results.md."""

from __future__ import annotations

import re
from pathlib import Path

from tools.marks import put_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "README.md"
GUARANTEES = ROOT / "docs" / "guarantees.md"
RESULTS = ROOT / "benchmarks" / "results.md"

FIGURES = (
    r"[\d,]+ queued jobs `bash -c true`",
    r"[\d,]+ queued jobs `/bin/true`",
    r"trigger to process start at .*, p50",
    r"durable creates from 8 clients",
    r"SIGKILL of the job child to served again, .*, p50",
    r"SIGKILL of an exec until its successor runs, median",
    r"edit of a job until it is in force, median",
    r"one job's output, .*, all of it kept",
    r"idle: PSS of all processes",
    r"`job_item --help`",
)
"""The lines of the benchmarks that are shown, by patterns of their names; each must be there."""


def kills() -> str:
    """What was done to the durable queues, and the table of what came of it."""
    text = GUARANTEES.read_text(encoding="utf-8")
    found = re.search(r"\*\*Kills\*\* \(([^)]+)\): (.+?\.)\s", text, flags=re.DOTALL)
    table = re.search(r"^\| \| jobs lost .*\n(?:\|.*\n)+", text, flags=re.MULTILINE)
    if found is None or table is None:
        raise ValueError(f"{GUARANTEES}: where are the kills?")
    return f"{' '.join(found[2].split())} ({found[1]})\n\n{table[0]}".rstrip()


def speed() -> str:
    """The chosen lines of the benchmarks, missed targets too, and where they were measured."""
    text = RESULTS.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|\n").split(" | ")] for line in text.splitlines() if line.startswith("|")
    ]
    lines = ["| figure | here | beside it, in the same run | target | met |", "|---|---|---|---|---|"]
    for pattern in FIGURES:
        row = next((row for row in rows if re.fullmatch(pattern, row[0])), None)
        if row is None:
            raise ValueError(f"{RESULTS}: no figure {pattern}")
        name, here, beside, _, target, met = row
        lines.append(f"| {name} | {here} | {beside} | {target} | {met} |")
    where = re.search(r"on a machine with ([^.]+?(?:\d\.\d[^.]*)*), where", " ".join(text.split()))
    machine = f"Measured on a machine with {where[1]}:\n\n" if where else ""
    return machine + "\n".join(lines)


def fill_in(text: str) -> str:
    """The page with its tables as they are now."""
    return put_between(text, {"kills": kills(), "speed": speed()})


if __name__ == "__main__":
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
