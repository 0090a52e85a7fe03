"""How long `job_item --help` takes, from its start to its end, beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.table import Figure, Tier, amount, at_most

ROUNDS = {"smoke": 3, "quick": 20, "night": 200}
LIMIT_MS = 150


def measure(tier: Tier) -> list[Figure]:
    """Start both in turn."""
    command = str(Path(sys.executable).with_name("job_item"))
    help_ms: list[float] = []
    bare_ms: list[float] = []
    for _ in range(ROUNDS[tier]):
        bare_ms.append(_run((sys.executable, "-c", "pass")))
        help_ms.append(_run((command, "--help")))
    beside = f"`python -c pass`: {amount(median(bare_ms), 'ms')}"
    return [at_most("`job_item --help`", median(help_ms), LIMIT_MS, "ms", beside=beside)]


def _run(argv: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return (time.perf_counter() - begun) * 1000
