"""An exec that is killed, and one that is edited: until its successor runs, beside what supervisord and circus need.

All three keep the same command alive, which notes the moment of its birth; each is told of an edit the way its users
do it: the node by the edit itself, supervisord by `supervisorctl update`, circus by `circusctl reloadconfig`. A kill
comes when the command has been up long enough to count as stable with each of them (one second).
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml

from benchmarks.peers import Circus, Peer, Supervisord, running
from benchmarks.table import Figure, Tier, amount, at_most
from tests.conftest import eventually
from tests.nodes import Node
from tests.nodes import running as running_node

ROUNDS = {"smoke": 2, "quick": 4, "night": 15}
STABLE_S = 1.0
EDIT_MS = 250
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Birth:
    """The command says which version of it was started, when, and as whom."""

    version: str
    pid: int
    at: float


class Beat:
    """The command that is kept alive, and the file where its births stand."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._marks = folder / "births"
        self._script = folder / "beat.sh"
        self._script.write_text(f'echo "$1 $$ $EPOCHREALTIME" >>{self._marks}; exec sleep 600\n')
        self._versions = 0

    def next_command(self) -> str:
        """A command that differs from the one before."""
        self._versions += 1
        return f"bash {self._script} v{self._versions}"

    def births(self) -> list[Birth]:
        """All of them, oldest first."""
        lines = self._marks.read_text().splitlines() if self._marks.exists() else []
        return [Birth(version, int(pid), float(at)) for version, pid, at in map(str.split, lines)]

    def newest(self) -> Birth:
        """The birth of the newest version, waited for."""

        def found() -> Birth | None:
            births = self.births()
            return births[-1] if births and births[-1].version == f"v{self._versions}" else None

        birth = eventually(found, within_s=LIMIT_S, what="the newest version was started")
        assert birth is not None
        return birth

    def successor(self, of: Birth) -> Birth:
        """The next birth, waited for."""
        eventually(lambda: self.births()[-1] != of, within_s=LIMIT_S, what="a successor was started")
        return self.births()[-1]


def measure(tier: Tier) -> list[Figure]:
    """Kill and edit in turn, round by round, with each of the three."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ji-")))
        node, beat = _start_node(stack, folder)
        kept: dict[str, tuple[Beat, Callable[[], None]]] = {"here": (beat, lambda: _edit_node(node, beat))}
        for peer in (Supervisord(folder / "supervisord"), Circus(folder / "circus")):
            kept[peer.name] = _start_peer(stack, peer, folder / peer.name)
        kills: dict[str, list[float]] = {name: [] for name in kept}
        edits: dict[str, list[float]] = {name: [] for name in kept}
        in_force = [_edit_job(node, number) for number in range(ROUNDS[tier])]
        for _ in range(ROUNDS[tier]):
            for name, (command, edit) in kept.items():
                kills[name].append(_kill(command))
                edits[name].append(_edit(command, edit))
    return [
        at_most("edit of a job until it is in force, median", median(in_force), EDIT_MS, "ms"),
        _beside("edit of an exec until its successor runs, median", edits),
        _beside("SIGKILL of an exec until its successor runs, median", kills),
    ]


def _start_node(stack: ExitStack, folder: Path) -> tuple[Node, Beat]:
    beat = Beat(folder / "node-beat")
    node = stack.enter_context(running_node(folder / "node", _settings(beat.next_command(), "true")))
    beat.newest()
    return node, beat


def _start_peer(stack: ExitStack, peer: Peer, folder: Path) -> tuple[Beat, Callable[[], None]]:
    beat = Beat(folder)
    peer.configure(beat.next_command())
    stack.enter_context(running(peer))
    beat.newest()

    def edit() -> None:
        peer.configure(beat.next_command())
        peer.apply()

    return beat, edit


def _settings(command: str, job: str) -> dict[str, object]:
    beat = {"name": "beat", "key": "beat", "cmd": f"exec {command}", "stable": STABLE_S, "restart": "always"}
    return {"execs": [beat], "jobs": [{"event": "job", "cmd": job}]}


def _edit_node(node: Node, beat: Beat) -> None:
    node.configure(_settings(beat.next_command(), "true"))


def _edit_job(node: Node, number: int) -> float:
    """Milliseconds from an edit of a job's command until the settings with it are in force everywhere."""
    settings = yaml.safe_load((node.folder / "config.yaml").read_text())
    before = node.health()["settings"]["digest"]
    settings["jobs"] = [{"event": "job", "cmd": f"true {number}"}]
    begun = time.perf_counter()
    node.configure(settings)
    connection = node.connect()
    while True:
        connection.request("GET", "/healthz")
        digest = json.loads(connection.getresponse().read())["settings"]["digest"]
        taken_ms = (time.perf_counter() - begun) * 1000
        if digest != before:
            connection.close()
            return taken_ms
        assert taken_ms < LIMIT_S * 1000, "the edit never came into force"


def _kill(beat: Beat) -> float:
    """Milliseconds from SIGKILL to the birth of the successor."""
    birth = beat.births()[-1]
    eventually(lambda: time.time() > birth.at + STABLE_S + 0.2, what="the command is stable")
    begun = time.time()
    os.kill(birth.pid, signal.SIGKILL)
    return (beat.successor(birth).at - begun) * 1000


def _edit(beat: Beat, edit: Callable[[], None]) -> float:
    """Milliseconds from an edit to the birth of what it asks for."""
    begun = time.time()
    edit()
    return (beat.newest().at - begun) * 1000


def _beside(what: str, taken_ms: dict[str, list[float]]) -> Figure:
    """Ours beside the peers'; the ratio is to the fastest of them."""
    medians = {name: median(values) for name, values in taken_ms.items()}
    here = medians.pop("here")
    peers = ", ".join(f"{name}: {amount(value, 'ms')}" for name, value in medians.items())
    best = min(medians.values())
    return Figure(what, amount(here, "ms"), peers, here / best, "<= the fastest of them", here <= best)
