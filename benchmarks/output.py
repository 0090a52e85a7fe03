"""The output of one job, against the same output in a pipe to `cat >/dev/null`.

Once with a limit that lets nearly all of it go, once with one that keeps every byte on disk; beside the second stands
`cat` into a file of the same folder too. The node's time is that of the attempt as its record has it.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.table import Figure, Tier, against, amount
from tests.nodes import Node, running

DROPPED_MIB, KEPT_MIB = 2_048, 512
ROUNDS = {"smoke": 1, "quick": 3, "night": 9}
LIMIT_S = 120.0
FLOOR = 0.5
JOBS: list[dict[str, Any]] = [
    {"event": "dropped", "cmd": ["head", "-c", f"{DROPPED_MIB}M", "/dev/zero"], "output_limit": "1 MiB"},
    {"event": "kept", "cmd": ["head", "-c", f"{KEPT_MIB}M", "/dev/zero"], "output_limit": "1 GiB"},
]


def measure(tier: Tier) -> list[Figure]:
    """Run each job and the two pipes in turn."""
    rates: dict[str, list[float]] = {"dropped": [], "kept": [], "null": [], "file": []}
    with TemporaryDirectory(prefix="ji-") as folder, running(Path(folder), {"jobs": JOBS}) as node:
        for _ in range(ROUNDS[tier]):
            rates["null"].append(_pipe(DROPPED_MIB, Path("/dev/null")))
            rates["dropped"].append(_job(node, "dropped", DROPPED_MIB))
            rates["file"].append(_pipe(KEPT_MIB, node.folder / "sink"))
            rates["kept"].append(_job(node, "kept", KEPT_MIB))
    rate = {name: median(values) for name, values in rates.items()}
    null = ("`| cat >/dev/null`", rate["null"])
    return [
        against(f"one job's output, {DROPPED_MIB} MiB, limit 1 MiB", rate["dropped"], "MiB/s", null, FLOOR),
        against(f"one job's output, {KEPT_MIB} MiB, all of it kept", rate["kept"], "MiB/s", null, FLOOR),
        Figure("- `| cat >file` for comparison", amount(rate["file"], "MiB/s")),
    ]


def _job(node: Node, event: str, size_mib: int) -> float:
    """MiB/s of one job."""
    record = node.await_status(node.submit(event), "finish", within_s=LIMIT_S)
    (attempt,) = record["attempts"]
    assert attempt["usage"]["stdout_bytes"] == size_mib << 20, attempt
    for spool in (node.state / "logs").rglob(f"{record['task_id']}.*"):
        spool.unlink()
    return size_mib / float(attempt["duration_s"])


def _pipe(size_mib: int, sink: Path) -> float:
    """MiB/s of `head | cat`."""
    with sink.open("wb") as file:
        begun = time.perf_counter()
        with subprocess.Popen(("head", "-c", f"{size_mib}M", "/dev/zero"), stdout=subprocess.PIPE) as head:
            subprocess.run(("cat",), stdin=head.stdout, stdout=file, check=True, timeout=LIMIT_S)
        return size_mib / (time.perf_counter() - begun)
