"""Short jobs from the queue, with journal, task file and output kept, against `xargs -P4` that keeps nothing.

Four jobs at a gate hold the four slots while all others are queued over HTTP; the clock runs from the first start to
the last end as the journal has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.client import create
from benchmarks.gate import gate_at
from benchmarks.stretch import JOBS, SLOTS, PeerRun, Run, run_node, run_xargs
from benchmarks.table import Figure, Tier, against, amount
from tests.nodes import running

ROUNDS = {"smoke": 1, "quick": 3, "night": 9}
FLOOR = 0.9
COMMANDS: dict[str, tuple[str | list[str], tuple[str, ...]]] = {
    "shell": ("true", ("bash", "-c", "true")),
    "list": (["/bin/true"], ("/bin/true",)),
}
"""By event: the `cmd` of the job, and what xargs runs."""


def measure(tier: Tier) -> list[Figure]:
    """Run node and xargs in turn, once for each kind of command and round."""
    count = JOBS[tier]
    peers: dict[str, list[PeerRun]] = {event: [] for event in COMMANDS}
    runs: dict[str, list[Run]] = {event: [] for event in COMMANDS}
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            jobs = [{"event": event, "cmd": cmd} for event, (cmd, _) in COMMANDS.items()]
            jobs.append({"event": "gate", "cmd": gate.pass_command})
            with running(folder, {"jobs": jobs, "limits": {"concurrency": SLOTS}}) as node:
                for _ in range(ROUNDS[tier]):
                    for event, (_, argv) in COMMANDS.items():
                        peers[event].append(run_xargs(argv, count))
                        runs[event].append(run_node(node, gate, partial(create, node.port, 8, count, event), count))
    return [figure for event in COMMANDS for figure in _figures(event, count, runs[event], peers[event])]


def _figures(event: str, count: int, runs: Sequence[Run], peers: Sequence[PeerRun]) -> list[Figure]:
    command = " ".join(COMMANDS[event][1])
    rate = count / median(run.journal_s for run in runs)
    wall = count / median(run.wall_s for run in runs)
    peer = (f"`xargs -P{SLOTS} -I_ {command}`", count / median(run.wall_s for run in peers))
    cost = sorted((run.cost for run in runs), key=lambda cost: cost.total_s)[len(runs) // 2]
    peer_cost_s = median(run.cost_s for run in peers)
    parts = ", ".join(
        f"{what} {seconds / count * 1e6:.0f}"
        for what, seconds in (
            ("job child", cost.worker_s),
            ("keepers", cost.keepers_s),
            ("commands", cost.commands_s),
        )
    )
    return [
        against(f"{count:,} queued jobs `{command}`", rate, "/s", peer, FLOOR),
        Figure("- by the wall clock, the last status durable", amount(wall, "/s")),
        Figure(
            "- processor time a job",
            f"{amount(cost.total_s / count * 1e6, 'us')} ({parts})",
            f"xargs and commands: {amount(peer_cost_s / count * 1e6, 'us')}",
            peer_cost_s / cost.total_s,
        ),
    ]
