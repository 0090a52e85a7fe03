"""The parent: one wait over children, links, signals and strays; what to do is decided by the lifecycle."""

from __future__ import annotations

import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from job_item.job import new_task_id
from job_item.link import Beat, Drained, ExecState, ExecStates, NodeState, Ready, StopNode, Swept
from job_item.plainlog import PlainLog
from job_item.policy import Restarts, Window
from job_item.process import become_subreaper, children_of
from job_item.state import StateFolder
from supervisor.child import Child, spawn
from supervisor.forkserver import Forkserver
from supervisor.lifecycle import new_node, step
from supervisor.moves import (
    Action,
    Babbled,
    BecameReady,
    Died,
    Event,
    Heard,
    Kill,
    Say,
    Signalled,
    Spawn,
    StopAsked,
    Tell,
    Ticked,
)
from supervisor.multi import wait
from supervisor.plan import Plan
from supervisor.signals import Signals
from supervisor.sweep import Sweep
from supervisor.tables import Phase, Room


def run(plan: Plan, environ: Mapping[str, str]) -> int:
    """Run the node that `plan` has prepared; returns its exit code."""
    log = PlainLog(plan.log, room="supervisor", secrets=plan.log.secrets, environ=environ)
    with ExitStack() as stack:
        stack.callback(os.close, plan.lock)
        listener = stack.enter_context(socket.socket(fileno=plan.listener))
        signals = Signals()
        signals.install()
        stack.callback(signals.close)
        strangers = children_of(os.getpid())
        become_subreaper()
        rooms = sorted({entry.partition(":")[0] for entry in plan.entries.values()})
        births = Forkserver(["supervisor.child", *rooms, "supervisor.freeze"])
        stack.callback(births.close)
        births.warm()
        code = Parent(Outfit(plan, listener, births, signals, frozenset(strangers), log)).run()
        StateFolder(plan.state_dir).remove_node()
        log.info("node.stopped", exit_code=code)
    return code


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the parent works with."""

    plan: Plan
    listener: socket.socket
    births: Forkserver
    signals: Signals
    strangers: frozenset[int]
    """Children that this process had before it was the node (a shell that became us by `exec`): not ours to end."""
    log: PlainLog


class Parent:
    """Waits, asks the lifecycle what follows, and does that."""

    def __init__(self, outfit: Outfit) -> None:
        plan = outfit.plan
        restarts = Restarts(early=Window(*plan.early_deaths))
        self._outfit = outfit
        self._plan = plan
        self._node = new_node(plan.rules, restarts, tuple(plan.entries), time.monotonic())
        self._children: dict[Room, Child] = {}
        self._pids: dict[Room, int] = {}
        self._sweep = Sweep()
        self._unswept: set[Room] = set()
        self._execs: tuple[ExecState, ...] = ()
        self._births: Counter[str] = Counter()
        self._told: NodeState | None = None
        self._is_greeted = False
        self._log = outfit.log

    def run(self) -> int:
        """Keep the node going until it has stopped; returns its exit code."""
        try:
            self._apply(Ticked())
            while self._node.phase is not Phase.STOPPED or self._sweep.is_active:
                self._turn()
        finally:
            for child in self._children.values():
                child.kill()
        return int(self._node.exit_code)

    def _turn(self) -> None:
        """The one wait, and what came of it. Links go before deaths: last words count."""
        sources: dict[int, Callable[[], None]] = {
            child.link.fileno(): partial(self._hear, child) for child in self._children.values() if child.is_linked
        }
        sources[self._outfit.signals.fileno()] = self._take_signals
        sources |= {child.grave: partial(self._bury, child) for child in self._children.values()}
        everything = [*sources, *self._sweep.graves]
        # A signal that comes when the time is over (we were stopped ourselves) ends the first wait without a look at
        # the links, and a child that did speak would pass for hung.
        ready = wait(everything, self._timeout_s()) or wait(everything, 0)
        for descriptor, take in sources.items():
            if descriptor in ready:
                take()
        self._apply(Ticked())
        self._collect_strays()

    def _timeout_s(self) -> float | None:
        moments = [moment for moment in (self._node.next_deadline_s(), self._sweep.deadline_s) if moment is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _apply(self, event: Event) -> None:
        self._node, actions = step(self._node, event, time.monotonic(), random.random())  # noqa: S311 - jitter
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Spawn(room):
                self._spawn(room)
            case Tell(room, message):
                self._children[room].send(message)
            case Kill(room):
                self._children[room].kill()
                self._say(Say("child.killed", room=room))
            case Say():
                self._say(action)

    def _say(self, line: Say) -> None:
        child = {"child": line.room.value, "pid": self._pids.get(line.room)} if line.room else {}
        if line.code:
            self._log.error(line.event, code=line.code, **child, **line.fields)
        else:
            self._log.info(line.event, **child, **line.fields)

    def _spawn(self, room: Room) -> None:
        lent = (self._outfit.listener,) if room is Room.WORKER else ()
        try:
            child = spawn(self._outfit.births, room, self._plan.entries[room], self._plan.start, new_task_id(), lent)
        except (OSError, EOFError) as error:
            self._pids.pop(room, None)
            self._say(Say("child.stillborn", "ERR-SUP-003", room, {"reason": str(error)}))
            self._sweep.begin(time.monotonic())  # what was half born is a stray
            self._apply(Died(room, None))
            return
        self._children[room] = child
        self._pids[room] = child.pid
        self._births[room.value] += 1
        self._say(Say("child.spawned", room=room))
        if self._sweep.is_active:
            self._unswept.add(room)
        else:
            child.send(Swept())
        self._publish()

    def _hear(self, child: Child) -> None:
        try:
            message = child.link.receive()
        except Exception:
            # Whatever unpickling raises: the child is at fault, the parent lives on.
            self._apply(Babbled(child.room))
            return
        match message:
            case None:
                child.unlink()
            case Ready():
                self._apply(BecameReady(child.room))
                self._greet(child.room)
            case Beat() | Drained():
                self._apply(Heard(child.room))
            case StopNode(exit_code, reason):
                self._apply(StopAsked(child.room, exit_code, reason))
            case ExecStates(execs):
                self._execs = execs
                self._apply(Heard(child.room))
                self._publish()
            case _:
                self._apply(Babbled(child.room))

    def _bury(self, child: Child) -> None:
        """The death is confirmed: the successor is born at once, but starts nothing before the old tree is swept."""
        while child.has_message():
            self._hear(child)
        exit_code = child.bury()
        del self._children[child.room]
        self._unswept.discard(child.room)
        self._sweep.begin(time.monotonic())
        if child.room is Room.EXECS:
            self._execs = tuple(replace(state, state="waiting", pid=None) for state in self._execs)
        self._apply(Died(child.room, exit_code))
        self._publish()

    def _take_signals(self) -> None:
        for number in self._outfit.signals.take():
            self._apply(Signalled(number))

    def _collect_strays(self) -> None:
        known = {child.pid for child in self._children.values()} | self._outfit.strangers
        if self._outfit.births.pid is not None:
            known |= {self._outfit.births.pid}
        left = self._sweep.collect(known, time.monotonic())
        if left is None:
            return
        if left:
            self._log.error("child.not_swept", code="ERR-SUP-011", pids=list(left))
        else:
            self._log.info("child.swept")
        for room in self._unswept:
            self._children[room].send(Swept())
        self._unswept.clear()

    def _publish(self) -> None:
        """Let the job child know what it shows of the node, where that has changed."""
        worker, execs = self._children.get(Room.WORKER), self._children.get(Room.EXECS)
        if worker is None:
            return
        births = tuple(self._births.items())
        state = NodeState(worker.pid, execs.pid if execs else None, self._execs, births=births)
        if state == self._told:
            return
        self._told = state
        worker.send(state)

    def _greet(self, room: Room) -> None:
        if room is Room.WORKER and not self._is_greeted:
            self._is_greeted = True
            with suppress(OSError):
                print(self._plan.greeting, flush=True)
