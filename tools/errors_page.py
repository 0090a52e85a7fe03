"""Write docs/errors.md from the register of codes."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from job_item.codes import REGISTER, Code

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

AREAS = {
    "CFG": "Settings",
    "SUP": "The parent process",
    "LNK": "The link between parent and children",
    "BRK": "Brokers",
    "SRC": "Sources of jobs",
    "RFG": "The ReefGuide job API",
    "JOB": "Jobs as they come in",
    "RUN": "Running a job",
    "REP": "Reports",
    "DLV": "Durable delivery",
    "STO": "The journal and the state folder",
    "STG": "Storages of jobs",
    "EXE": "Background commands",
    "HND": "Typed handlers",
    "API": "The local API",
    "HST": "The host",
    "MGR": "The Job Manager",
    "OUT": "What waits for the Job Manager",
    "UPD": "Updates",
    "REL": "Releases",
}

HEAD = """# Error codes

Every failure that the node shows bears one of these codes. `job_item errors` prints the same list, `job_item errors
CODE` one entry. A code is never given to something else. "Was" names the code under which the Go worker logged that
family.

<!-- Written by `make docs` from job_item/codes.py; edit that file instead. -->
"""


def area_of(entry: Code) -> str:
    """The middle part of a code: `CFG` of `ERR-CFG-001`."""
    return entry.code.split("-")[1]


def cell(text: str) -> str:
    """Make `text` safe for one cell of a Markdown table."""
    return text.replace("|", "\\|")


def table(entries: list[Code]) -> str:
    """The Markdown table of the codes of one area."""
    lines = ["| code | meaning | what to do |", "|---|---|---|"]
    for entry in entries:
        was = f" (was `{entry.was}`)" if entry.was else ""
        lines.append(f"| `{entry.code}` | {cell(entry.meaning)}{was} | {cell(entry.remedy)} |")
    return "\n".join(lines)


def page() -> str:
    """The whole page, areas in the order of the register's table of areas."""
    order = list(AREAS)
    entries = sorted(REGISTER.values(), key=lambda entry: (order.index(area_of(entry)), entry.code))
    sections = [f"## {area}: {AREAS[area]}\n\n{table(list(group))}\n" for area, group in groupby(entries, key=area_of)]
    return "\n".join([HEAD, *sections])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
