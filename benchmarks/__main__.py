"""`python -m benchmarks [smoke|quick|night] [SUBJECT ...]`: measure, print the table, write results.md.

The page is written only where all subjects were measured, and not by `smoke`. Exit code 1 when one could not be
measured; a target that is missed is a line in the table, not a failure.
"""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import cast, get_args

from rich.console import Console

from benchmarks import (
    brokers,
    creates,
    handlers,
    idle,
    latency,
    notifications,
    output,
    peers_brokers,
    queue,
    restart,
    storage,
    supervision,
    throughput,
    uploads,
    usage,
)
from benchmarks.table import Figure, Tier, markdown, show

SUBJECTS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        throughput,
        latency,
        creates,
        handlers,
        notifications,
        uploads,
        storage,
        restart,
        supervision,
        output,
        brokers,
        peers_brokers,
        queue,
        idle,
        usage,
    )
}
RESULTS = Path(__file__).with_name("results.md")
_BESIDE_THE_POINT = re.compile(r"(JOB_ITEM|JOB_MANAGER|PYTHON)|(CONFIG_PATH|LOG_LEVEL|WORKER_ID|STATE_DIRECTORY)$")
"""Variables of a developer's shell that would change figures: no byte code kept, more logged, other settings."""


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for, everything if nothing is."""
    tiers: tuple[Tier, ...] = get_args(Tier)
    asked = list(arguments)
    tier = cast("Tier", asked.pop(0)) if asked and asked[0] in tiers else "quick"
    unknown = [name for name in asked if name not in SUBJECTS]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; use [{'|'.join(tiers)}] [{' '.join(SUBJECTS)}]", file=sys.stderr)
        return 2
    for name in filter(_BESIDE_THE_POINT.match, list(os.environ)):
        del os.environ[name]
    load = os.getloadavg()[0]
    figures, is_complete = _measure(asked or list(SUBJECTS), tier)
    show(figures, Console())
    if not asked and is_complete and tier != "smoke":
        notes = [(name, _told(module)) for name, module in SUBJECTS.items()]
        RESULTS.write_text(markdown(figures, tier, load, notes))
    return 0 if is_complete else 1


def _measure(names: Sequence[str], tier: Tier) -> tuple[list[Figure], bool]:
    """The figures of all subjects; one that fails is a line of its own and keeps no other from being measured."""
    figures: list[Figure] = []
    is_complete = True
    for name in names:
        begun = time.monotonic()
        print(f"{name} ...", file=sys.stderr, end="", flush=True)
        try:
            figures += SUBJECTS[name].measure(tier)
        except Exception as error:
            traceback.print_exc()
            figures.append(Figure(name, "could not be measured", type(error).__name__, met=False))
            is_complete = False
        print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return figures, is_complete


def _told(module: ModuleType) -> str:
    """What a module says of itself, in one line."""
    return " ".join((module.__doc__ or "").split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
