"""The parent: one wait over children, links, signals and strays; what to do is decided by the lifecycle."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from job_item.job import new_task_id
from job_item.link import Beat, Drained, Dump, ExecState, ExecStates, NodeState, Ready, StopNode, Swept
from job_item.plainlog import PlainLog
from job_item.policy import Restarts, Window
from job_item.process import become_subreaper, children_of
from job_item.state import StateFolder
from supervisor.child import Child, spawn
from supervisor.dump import lines_of
from supervisor.forkserver import Forkserver
from supervisor.lifecycle import new_node, step
from supervisor.listen import url_of
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
    Woke,
)
from supervisor.multi import wait
from supervisor.notify import Notifier, take_wish
from supervisor.orphans import reap_orphans
from supervisor.outlook import Outlook
from supervisor.plan import Plan
from supervisor.progress import Progress
from supervisor.signals import STOP_SIGNALS, Signals
from supervisor.sweep import Sweep
from supervisor.tables import Phase, Room

_LATE_S = 2.0
"""A turn that takes so much longer than was asked for: this process was stopped, or the whole machine."""


def run(plan: Plan, environ: MutableMapping[str, str]) -> int:
    """Run the node that `plan` has prepared; returns its exit code."""
    log = PlainLog(plan.log, room="supervisor", secrets=plan.log.secrets, environ=environ)
    with ExitStack() as stack:
        stack.callback(os.close, plan.lock)
        listener = stack.enter_context(socket.socket(fileno=plan.listener))
        signals = Signals()
        signals.install()
        stack.callback(signals.close)
        notifier = Notifier(take_wish(environ, os.getpid()), log)
        stack.callback(notifier.close)
        strangers = children_of(os.getpid())
        become_subreaper()
        rooms = sorted({entry.partition(":")[0] for entry in plan.entries.values()})
        births = Forkserver(["supervisor.child", *rooms, "supervisor.freeze"])
        stack.callback(births.close)
        births.warm()
        code = Parent(Outfit(plan, listener, births, signals, frozenset(strangers), log, notifier)).run()
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
    notifier: Notifier


class Parent:
    """Waits, asks the lifecycle what follows, and does that."""

    def __init__(self, outfit: Outfit) -> None:
        plan = outfit.plan
        restarts = Restarts(early=Window(*plan.early_deaths))
        self._outfit = outfit
        self._plan = plan
        self._node = new_node(plan.rules, restarts, tuple(plan.entries), time.monotonic())
        self._progress = Progress.begin(self._node, time.monotonic())
        self._strangers = set(outfit.strangers)
        self._url = url_of(outfit.listener)
        self._children: dict[Room, Child] = {}
        self._pids: dict[Room, int] = {}
        self._sweep = Sweep()
        self._unswept: set[Room] = set()
        self._execs: tuple[ExecState, ...] = ()
        self._told: NodeState | None = None
        self._is_greeted = False
        self._log = outfit.log

    def run(self) -> int:
        """Keep the node going until it has stopped; returns its exit code."""
        try:
            self._apply(Ticked())
            self._report()
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
        due_s = self._deadline_s()
        ready = wait(everything, None if due_s is None else max(0.0, due_s - time.monotonic())) or wait(everything, 0)
        self._note_sleep(due_s)
        for descriptor, take in sources.items():
            if descriptor in ready:
                take()
        self._take_signals()  # a CONT of just now comes before a look at the clock
        self._apply(Ticked())
        self._collect_strays()
        self._report()

    def _deadline_s(self) -> float | None:
        moments = (self._node.next_deadline_s(), self._sweep.deadline_s, self._outfit.notifier.deadline_s)
        return min((moment for moment in moments if moment is not None), default=None)

    def _note_sleep(self, due_s: float | None) -> None:
        """Where the wait came back much too late we were not running, and what we know of the children is old."""
        if due_s is not None and (late_s := time.monotonic() - due_s) > _LATE_S:
            self._wake(late_s)

    def _wake(self, late_s: float) -> None:
        self._log.warning("node.woke", late_s=round(late_s, 3))
        self._progress = self._progress.wake(time.monotonic())
        self._apply(Woke(late_s))

    def _report(self) -> None:
        outlook = Outlook(self._node, self._url, self._execs)
        self._outfit.notifier.tell(outlook, self._progress, time.monotonic())

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
                self._note_life(child.room)
            case StopNode(exit_code, reason):
                self._apply(StopAsked(child.room, exit_code, reason))
            case ExecStates(execs):
                self._execs = execs
                self._note_life(child.room)
                self._publish()
            case _:
                self._apply(Babbled(child.room))

    def _note_life(self, room: Room) -> None:
        self._progress = self._progress.hear(self._node, room, time.monotonic())
        self._apply(Heard(room))

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
        numbers = self._outfit.signals.take()
        for number in numbers:
            if number in STOP_SIGNALS:
                self._apply(Signalled(number))
            elif number == signal.SIGUSR1:
                self._dump()
        if signal.SIGCONT in numbers:
            self._wake(0.0)
        if signal.SIGCHLD in numbers:
            self._strangers.difference_update(reap_orphans(self._own_pids()))

    def _dump(self) -> None:
        """Write down what this node holds, and have the children do so."""
        now_s = time.monotonic()
        for line in lines_of(self._node, self._pids, self._sweep, self._progress, len(self._strangers), now_s):
            self._say(line)
        for child in self._children.values():
            child.send(Dump())

    def _own_pids(self) -> set[int]:
        """Direct children that somebody here waits for."""
        own = {child.pid for child in self._children.values()}
        return own if self._outfit.births.pid is None else own | {self._outfit.births.pid}

    def _collect_strays(self) -> None:
        left = self._sweep.collect(self._own_pids() | self._strangers, time.monotonic())
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
        state = NodeState(worker.pid, execs.pid if execs else None, self._execs)
        if state == self._told:
            return
        self._told = state
        worker.send(state)

    def _greet(self, room: Room) -> None:
        if room is Room.WORKER and not self._is_greeted:
            self._is_greeted = True
            with suppress(OSError):
                print(self._plan.greeting, flush=True)
