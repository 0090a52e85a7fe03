"""Storms of signals: whatever comes in whatever order, a node ends within its bounds, and nothing is left of it.

Quick and night run the same sequences, each with a seed of its own, over nodes of small test children (many at a time);
a few go to whole nodes that run a job and an exec.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.children import trace_of
from tests.conftest import eventually
from tests.nodes import is_alive, running
from tests.swarm import Swarm

COUNTS = {"quick": (40, 1), "night": (20_000, 400)}
"""Sequences for nodes of test children, and for whole nodes."""
AT_A_TIME = {"quick": 4, "night": 24}
GRACE_S = 0.5
SLACK_S = 30.0
"""For a machine that does a dozen of these at a time; what the node itself allows is far less."""
STOPS = (signal.SIGTERM, signal.SIGINT)
HARMLESS = (
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGWINCH,
    signal.SIGURG,
    signal.SIGPIPE,
)
WORKERS = ("worker", "worker", "deaf_to_drain", "deaf", "cascades")
ENDS_ITSELF = {"cascades": 76}


@dataclass(frozen=True, slots=True)
class Storm:
    """What happens to one node: its kind of worker, and signals with the pauses before them."""

    worker: str
    signals: tuple[tuple[float, int], ...]


def sequence_of(seed: int) -> Storm:
    """The sequence of this seed; it stops the node for sure."""
    chance = random.Random(seed)
    length = chance.randrange(1, 40)
    numbers = [chance.choice(HARMLESS) for _ in range(length)]
    numbers += (signal.SIGSTOP, signal.SIGCONT) * chance.randrange(3)
    numbers += [chance.choice(STOPS) for _ in range(chance.randrange(5))]
    if chance.random() < 0.1:
        numbers.append(signal.SIGQUIT)
    if chance.random() < 0.7:
        chance.shuffle(numbers)
    numbers += [signal.SIGCONT, chance.choice(STOPS)]
    pauses = (0.0, 0.0, 0.0, chance.random() * 0.01, chance.random() * 0.1)
    return Storm(chance.choice(WORKERS), tuple((chance.choice(pauses), number) for number in numbers))


class Parent:
    """A node of test children in a process of its own, to which a sequence happens."""

    def __init__(self, folder: Path, storm: Storm, swarm: Swarm) -> None:
        self._storm = storm
        self._swarm = swarm
        self._state = folder / "state"
        folder.mkdir()
        self._log = folder / "log"
        self._log.touch()
        settings = {"drain_grace": GRACE_S, "execs": [{"key": "sample", "cmd": "true"}]}
        self._pid = swarm.start(folder, storm.worker, settings)
        self._handle = os.pidfd_open(self._pid)

    def suffer(self, chance: random.Random) -> None:
        """Send the sequence: from before it is up, or once both children are ready; then judge its end."""
        when_ready: Callable[[], bool] = lambda: (  # noqa: E731
            self._is_dead() or self._log.read_text().count("child.ready") >= 2
        )
        node_is_there: Callable[[], bool] = lambda: (  # noqa: E731
            self._is_dead() or (self._state / "node.json").exists() or "node.stopped" in self._said()
        )
        eventually(chance.choice((when_ready, node_is_there)), within_s=60)
        stops = []
        for pause_s, number in self._storm.signals:
            time.sleep(pause_s)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)
            if number in (*STOPS, signal.SIGQUIT):
                stops.append(number)
        assert self._is_dead(self._bound_s(stops)), f"it does not end after {self._storm}: {self._said()[-3000:]}"
        self._judge(self._swarm.reap(self._pid), stops)

    def _is_dead(self, within_s: float = 0.0) -> bool:
        return bool(select.select([self._handle], [], [], within_s)[0])

    def _bound_s(self, stops: Sequence[int]) -> float:
        """Seconds that its end may take from now on: what the node promises, and slack for this machine."""
        # Equal signals that are pending together are one: three that were sent may be two that came.
        deaf_s = 0.0 if signal.SIGQUIT in stops else GRACE_S + 15.0  # 5 of it for execs (stop_grace)
        return deaf_s + SLACK_S

    def _judge(self, code: int, stops: Sequence[int]) -> None:
        said = self._said()
        own = ENDS_ITSELF.get(self._storm.worker)
        allowed = {0, 1, *(128 + number for number in stops), *([own] if own else [])}
        assert code in allowed, f"exit code {code} after {self._storm}: {said[-3000:]}"
        assert "Traceback" not in said, said
        assert '"exit_code":null' not in said.replace(" ", ""), f"an exit status was lost: {said[-3000:]}"
        assert "child.not_swept" not in said
        pids = {int(line.split()[1]) for line in trace_of(self._state)}
        eventually(lambda: not any(map(is_alive, pids)), within_s=30, what=f"no stray of {self._storm}")

    def _said(self) -> str:
        return self._log.read_text()

    def destroy(self) -> None:
        """Leave nothing, whatever came of it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        os.close(self._handle)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_random_signals_end_without_deadlock_stray_or_lost_status(
    tier: Literal["quick", "night"], tmp_path: Path
) -> None:
    count = COUNTS[tier][0]

    def suffer(seed: int) -> None:
        folder = tmp_path / str(seed)
        parent = Parent(folder, sequence_of(seed), swarm)
        try:
            parent.suffer(random.Random(seed))
        except BaseException as error:
            raise AssertionError(f"sequence {seed}") from error
        finally:
            parent.destroy()
        subprocess.run(["rm", "-r", str(folder)], check=True)

    with Swarm() as swarm, ThreadPoolExecutor(AT_A_TIME[tier]) as pool:
        for _ in pool.map(suffer, range(count)):
            pass


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_random_signals_to_a_whole_node(tier: Literal["quick", "night"], tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "drain_grace": GRACE_S,
        "jobs": [{"event": "deaf", "cmd": "trap '' TERM; sleep 600 & wait; sleep 600", "kill_grace": 0.3}],
        "execs": [{"key": "beside", "cmd": "sleep 600"}],
    }
    for seed in range(COUNTS[tier][1]):
        with running(tmp_path / str(seed), settings) as node:
            node.await_status(node.submit("deaf"), "running", within_s=60)
            tree = node.processes()
            stops = 0
            for pause_s, number in sequence_of(seed).signals:
                time.sleep(pause_s)
                with suppress(ProcessLookupError):
                    os.kill(node.pid, number)
                stops += number in STOPS
            assert node.process is not None
            assert node.process.wait(GRACE_S + 15.0 + SLACK_S) in (0, 128 + 2, 128 + 3, 128 + 15), node.log.read_text()
            eventually(lambda tree=tree: not any(map(is_alive, tree)), within_s=30)  # type: ignore[misc]
            assert "Traceback" not in node.log.read_text()


@pytest.mark.soak
@pytest.mark.parametrize(("stops", "grace_s"), [(2, 1.0), (3, 600.0)])
def test_the_second_signal_ends_within_the_grace_the_third_at_once(stops: int, grace_s: float, tmp_path: Path) -> None:
    job = {"event": "deaf", "cmd": "trap '' TERM; touch is_deaf; sleep 600 & wait; sleep 600", "kill_grace": grace_s}
    with running(tmp_path, {"drain_grace": 600, "jobs": [job]}) as node:
        node.submit("deaf")
        eventually((tmp_path / "is_deaf").exists, within_s=60)
        for step in ("node.draining", "node.cancelling")[: stops - 1]:
            os.kill(node.pid, signal.SIGTERM)
            # The kernel makes one of two that wait together.
            eventually(lambda step=step: step in node.log.read_text(), what=step)  # type: ignore[misc]
        node.stop(within_s=grace_s + SLACK_S if stops == 2 else SLACK_S)
