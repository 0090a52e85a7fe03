"""The parent: one wait over children, links, signals and strays; what to do is decided by the lifecycle."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from job_item.errors import NodeError
from job_item.job import new_task_id
from job_item.link import (
    Adopt,
    Adopted,
    Beat,
    Drained,
    ExecState,
    ExecStates,
    NodeState,
    Ready,
    StopNode,
    Swept,
)
from job_item.orders import Answer, ExecOrder, ReloadOrder
from job_item.plainlog import PlainLog
from job_item.policy import Restarts, Window
from job_item.process import become_subreaper, children_of
from supervisor.child import Child, spawn
from supervisor.cues import new_node
from supervisor.exchange import Exchange
from supervisor.forkserver import Forkserver
from supervisor.holdings import Holdings
from supervisor.lifecycle import step
from supervisor.moves import (
    Action,
    Babbled,
    BecameReady,
    Died,
    Event,
    Heard,
    Kill,
    Renew,
    Renewed,
    Say,
    Signalled,
    Spawn,
    StopAsked,
    Tell,
    Ticked,
    TookOver,
)
from supervisor.multi import wait
from supervisor.plan import Plan
from supervisor.reload import Reload
from supervisor.signals import STOP_SIGNALS, Signals
from supervisor.sweep import Sweep
from supervisor.tables import Life, Phase, Room


def run(plan: Plan, environ: Mapping[str, str]) -> int:
    """Run the node that `plan` has prepared; returns its exit code."""
    log = PlainLog(plan.log, room="supervisor", secrets=plan.log.secrets, environ=environ)
    with ExitStack() as stack:
        signals = Signals()
        signals.install()
        stack.callback(signals.close)
        strangers = children_of(os.getpid())
        become_subreaper()
        rooms = sorted({plan.entries[room].partition(":")[0] for room in plan.rooms})
        births = Forkserver(["supervisor.child", "supervisor.reader", *rooms, "supervisor.freeze"])
        stack.callback(births.close)
        births.warm()
        holdings = Holdings(plan)
        code = Parent(plan, Outfit(holdings, births, signals, frozenset(strangers), log)).run()
        holdings.close()
        log.info("node.stopped", exit_code=code)
    return code


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the parent works with."""

    holdings: Holdings
    births: Forkserver
    signals: Signals
    strangers: frozenset[int]
    """Children that this process had before it was the node (a shell that became us by `exec`): not ours to end."""
    log: PlainLog


class Parent:
    """Waits, asks the lifecycle what follows, and does that."""

    def __init__(self, plan: Plan, outfit: Outfit) -> None:
        restarts = Restarts(early=Window(*plan.early_deaths))
        self._outfit = outfit
        self._node = new_node(plan.rules, restarts, plan.rooms, time.monotonic())
        self._children: dict[Room, Child] = {}
        self._plans: dict[Room, Plan] = {}
        """What each living child was born with."""
        self._pids: dict[Room, int] = {}
        self._sweep = Sweep()
        self._unswept: set[Room] = set()
        self._execs: tuple[ExecState, ...] = ()
        self._births: Counter[str] = Counter()
        self._told: NodeState | None = None
        self._is_greeted = False
        self._log = outfit.log
        self._exchange = Exchange()
        self._reload = Reload(plan, outfit.births, outfit.holdings, outfit.log, self._enforce)

    def run(self) -> int:
        """Keep the node going until it has stopped; returns its exit code."""
        try:
            self._apply(Ticked())
            while self._node.phase is not Phase.STOPPED or self._sweep.is_active:
                self._turn()
        finally:
            for child in self._children.values():
                child.kill()
            self._reload.close()
        return int(self._node.exit_code)

    def _turn(self) -> None:
        """The one wait, and what came of it. Links go before deaths: last words count."""
        children = list(self._children.values())
        sources: dict[int, Callable[[], None]] = {
            child.link.fileno(): partial(self._hear, child) for child in children if child.is_linked
        }
        sources[self._outfit.signals.fileno()] = self._take_signals
        sources |= {child.grave: partial(self._bury, child) for child in children}
        sources |= self._reload.sources()
        everything = [*sources, *self._sweep.graves]
        # A signal that comes when the time is over (we were stopped ourselves) ends the first wait without a look at
        # the links, and a child that did speak would pass for hung.
        ready = wait(everything, self._timeout_s()) or wait(everything, 0)
        for descriptor, take in sources.items():
            if descriptor in ready:
                take()
        self._apply(Ticked())
        self._collect_strays()
        self._go_on_reloading()

    def _go_on_reloading(self) -> None:
        if self._node.phase is not Phase.RUNNING:
            self._reload.close()
        self._reload.turn()
        if not self._node.is_adopting:
            self._reload.settle()
        self._publish()

    def _timeout_s(self) -> float | None:
        dues = (self._node.next_deadline_s(), self._sweep.deadline_s, self._reload.next_moment_s())
        moments = [moment for moment in dues if moment is not None]
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
            case Renew(room):
                self._children[room].send(Adopt(self._reload.plan.start))
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
        plan = self._reload.plan
        lent = (self._outfit.holdings.listener(plan),) if room is Room.WORKER else ()
        try:
            child = spawn(self._outfit.births, room, plan.entries[room], plan.start, new_task_id(), lent)
        except (OSError, EOFError) as error:
            self._pids.pop(room, None)
            self._say(Say("child.stillborn", "ERR-SUP-003", room, {"reason": str(error)}))
            self._sweep.begin(time.monotonic())  # what was half born is a stray
            self._apply(Died(room, None))
            return
        self._children[room] = child
        self._plans[room] = plan
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
                self._greet(child)
            case Beat() | Drained():
                self._apply(Heard(child.room))
                self._reload.check()
            case Adopted(digest):
                if digest == self._reload.plan.digest:
                    self._apply(TookOver(child.room))
            case ReloadOrder():
                self._reload.order(child, message)
            case ExecOrder():
                self._exchange.carry(child, message, self._taker())
            case Answer():
                self._exchange.give(message)
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
        del self._children[child.room], self._plans[child.room]
        self._exchange.lose(child)
        self._unswept.discard(child.room)
        self._sweep.begin(time.monotonic())
        if child.room is Room.EXECS:
            self._execs = tuple(replace(state, state="waiting", pid=None) for state in self._execs)
        self._apply(Died(child.room, exit_code))
        if Room.EXECS not in self._reload.plan.rooms:
            self._execs = ()
        self._let_go()
        self._publish()

    def _take_signals(self) -> None:
        for number in self._outfit.signals.take():
            if number in STOP_SIGNALS:
                self._apply(Signalled(number))
            else:
                self._reload.ask()

    def _collect_strays(self) -> None:
        known = {child.pid for child in self._children.values()} | self._outfit.strangers | self._reload.pids
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
        settings = self._reload.state(self._node.pending())
        births = tuple(self._births.items())
        state = NodeState(worker.pid, execs.pid if execs else None, self._execs, settings, births)
        if state == self._told:
            return
        self._told = state
        worker.send(state)

    def _greet(self, child: Child) -> None:
        """Say where the API is, once it answers there."""
        if child.room is not Room.WORKER:
            return
        plan = self._plans[child.room]
        try:
            has_moved = self._outfit.holdings.tell(plan)
        except NodeError as error:
            has_moved = True
            self._log.error("node.untold", code=error.code, reason=error.message)
        if has_moved:
            self._log.info("api.moved", url=plan.node.url)
        if has_moved or not self._is_greeted:
            self._is_greeted = True
            with suppress(OSError):
                print(plan.greeting, flush=True)

    def _enforce(self, plan: Plan) -> None:
        """Bring new settings into force: in place, or by successors of the children that cannot take them over."""
        self._outfit.holdings.take(plan)
        outdated = {room for room, born_with in self._plans.items() if born_with.fixed[room] != plan.fixed[room]}
        self._apply(Renewed(plan.rules, plan.early_deaths, plan.rooms, frozenset(outdated)))
        self._let_go()

    def _let_go(self) -> None:
        """Close what only older plans name; a living child counts with the plan that it was born with."""
        self._outfit.holdings.keep((self._reload.plan, *self._plans.values()))

    def _taker(self) -> Child | None:
        """The execs child, if it takes orders."""
        is_ready = any(child.room is Room.EXECS and child.life is Life.READY for child in self._node.children)
        return self._children.get(Room.EXECS) if is_ready else None
