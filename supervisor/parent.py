"""The parent: one wait over children, links, signals and strays; what to do is decided by the lifecycle."""

from __future__ import annotations

import random
import signal
import socket
import time
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from functools import partial

from job_item.link import Adopt, Adopted, Beat, Drained, Dump, ExecStates, Idle, Ready, StopNode, WhenIdle
from job_item.orders import Answer, ExecOrder, ReloadOrder
from job_item.policy import Restarts, Window
from supervisor import moves
from supervisor.announce import Announcer
from supervisor.child import Child
from supervisor.children import Children
from supervisor.cues import new_node
from supervisor.departure import Departure
from supervisor.dump import lines_of
from supervisor.exchange import Exchange
from supervisor.lifecycle import step
from supervisor.moves import Action, Event, Kill, Renew, Say, Spawn, Tell
from supervisor.multi import wait
from supervisor.outfit import Outfit, outfit_for
from supervisor.plan import Plan
from supervisor.progress import Progress
from supervisor.reload import Reload
from supervisor.signals import STOP_SIGNALS
from supervisor.sleep import end_of_wait_s, slept_s
from supervisor.succession import pass_on
from supervisor.tables import Life, Phase, Room
from supervisor.updates import Updates


def run(plan: Plan, environ: MutableMapping[str, str]) -> int:
    """Run the node that `plan` has prepared; returns its exit code."""
    before = dict(environ)
    with outfit_for(plan, environ) as outfit:
        parent = Parent(plan, outfit)
        code = parent.run()
        left = parent.leave_listener()
        outfit.holdings.close()
        outfit.log.info("node.stopped", exit_code=code)
    return code if left is None else pass_on(left, before)


class Parent:
    """Waits, asks the lifecycle what follows, and does that."""

    def __init__(self, plan: Plan, outfit: Outfit) -> None:
        now_s = time.monotonic()
        self._node = new_node(plan.rules, Restarts(early=Window(*plan.early_deaths)), plan.rooms, now_s)
        self._progress = Progress.begin(self._node, now_s)
        self._log = outfit.log
        self._holdings = outfit.holdings
        self._signals = outfit.signals
        self._children = Children(outfit.births, outfit.strangers, self._say)
        self._exchange = Exchange()
        self._reload = Reload(plan, outfit.births, outfit.holdings, outfit.log, self._enforce)
        self._announcer = Announcer(outfit.notifier, outfit.holdings, outfit.log)
        self._updates = Updates(outfit.births, outfit.log, self._part)
        self._departure = Departure()

    def run(self) -> int:
        """Keep the node going until it has stopped; returns its exit code."""
        try:
            self._apply(moves.Ticked())
            self._announce()
            while not self._has_ended() or self._children.sweep.is_active:
                self._turn()
        finally:
            for child in self._children.all():
                child.kill()
            self._reload.close()
            self._updates.close()
        return int(self._node.exit_code)

    def leave_listener(self) -> socket.socket | None:
        """The API's socket for the version that this node makes room for; None where it has just ended."""
        if self._node.phase is not Phase.RUNNING or not self._departure.is_under_way:
            return None
        return self._holdings.listener(self._reload.plan).dup()

    def _has_ended(self) -> bool:
        return self._node.phase is Phase.STOPPED or (self._departure.is_under_way and not self._node.children)

    def _turn(self) -> None:
        """The one wait, and what came of it. Links go before deaths: last words count."""
        children = self._children.all()
        sources: dict[int, Callable[[], None]] = {
            child.link.fileno(): partial(self._hear, child) for child in children if child.is_linked
        }
        sources[self._signals.fileno()] = self._take_signals
        sources |= {child.grave: partial(self._bury, child) for child in children}
        sources |= {**self._reload.sources(), **self._updates.sources()}
        everything = [*sources, *self._children.sweep.graves]
        # A signal that comes when the time is over (we were stopped ourselves) ends the first wait without a look at
        # the links, and a child that did speak would pass for hung.
        end_s = self._deadline_s()
        ready = wait(everything, None if end_s is None else max(0.0, end_s - time.monotonic())) or wait(everything, 0)
        self._note_sleep(end_s)
        for descriptor, take in sources.items():
            if descriptor in ready:
                take()
        self._take_signals()  # a CONT of just now comes before a look at the clock
        self._apply(moves.Ticked())
        self._children.collect_strays(self._others)
        self._go_on_reloading()
        self._updates.turn(self._reload.plan, self._reload.offer)
        if self._departure.is_due(self._reload.plan.change_wait_s, time.monotonic()):  # new settings may say so
            self._give_way()
        self._announce()

    def _deadline_s(self) -> float | None:
        moments = (
            self._node.next_deadline_s(),
            self._children.sweep.deadline_s,
            self._reload.next_moment_s(),
            self._announcer.deadline_s,
            self._updates.due_s,
            self._departure.due_s(self._reload.plan.change_wait_s),
        )
        due_s = min((moment for moment in moments if moment is not None), default=None)
        return end_of_wait_s(due_s, self._node.rules.silence_s, time.monotonic())

    def _note_sleep(self, end_s: float | None) -> None:
        """What we know of the children is old where we could not run ourselves."""
        late_s = slept_s(end_s, self._node.rules.silence_s, time.monotonic())
        if late_s is not None:
            self._wake(late_s)

    def _wake(self, late_s: float) -> None:
        tell = self._log.warning if late_s else self._log.info  # CONT comes with each stop of a service, too
        tell("node.woke", late_s=round(late_s, 3))
        self._progress = self._progress.wake(time.monotonic())
        self._apply(moves.Woke(late_s))

    def _go_on_reloading(self) -> None:
        if self._node.phase is not Phase.RUNNING:
            self._reload.close()
            self._updates.close()
        self._reload.turn()
        if not self._node.is_adopting:
            self._reload.settle()

    def _announce(self) -> None:
        self._announcer.publish(self._node, self._children, self._reload)
        self._announcer.report(self._node, self._progress, self._reload)

    def _apply(self, event: Event) -> None:
        self._node, actions = step(self._node, event, time.monotonic(), random.random())  # noqa: S311 - jitter
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Spawn(room):
                self._spawn(room)
            case Tell(room, message):
                if child := self._children.get(room):
                    child.send(message)
            case Renew(room):
                if child := self._children.get(room):
                    child.send(Adopt(self._reload.plan.start))
            case Kill(room):
                self._children.kill(room)
            case Say():
                self._say(action)

    def _say(self, line: Say) -> None:
        child = {"child": line.room.value, "pid": self._children.pids.get(line.room)} if line.room else {}
        if line.code:
            self._log.error(line.event, code=line.code, **child, **line.fields)
        else:
            self._log.info(line.event, **child, **line.fields)

    def _spawn(self, room: Room) -> None:
        plan = self._reload.plan
        lent = (self._holdings.listener(plan),) if room is Room.WORKER else ()
        if self._children.spawn(room, plan, lent):
            self._apply(moves.Born(room))
            self._announcer.publish(self._node, self._children, self._reload)
        else:
            self._apply(moves.Died(room, None))

    def _hear(self, child: Child) -> None:
        try:
            message = child.link.receive()
        except Exception:
            # Whatever unpickling raises: the child is at fault, the parent lives on.
            self._apply(moves.Babbled(child.room))
            return
        match message:
            case None:
                child.unlink()
            case Ready():
                self._apply(moves.BecameReady(child.room))
                self._announcer.greet(child.room, self._children.plans[child.room])
            case Beat() | Drained():
                self._note_life(child.room)
                self._reload.check()
            case Idle():
                self._give_way()
            case Adopted(digest):
                self._note_adoption(child.room, digest)
            case ReloadOrder():
                self._reload.order(child, message)
            case ExecOrder():
                self._exchange.carry(child, message, self._taker())
            case Answer():
                self._exchange.give(message)
            case StopNode(exit_code, reason):
                self._apply(moves.StopAsked(child.room, exit_code, reason))
            case ExecStates(execs):
                self._announcer.execs = execs
                self._note_life(child.room)
            case _:
                self._apply(moves.Babbled(child.room))

    def _note_life(self, room: Room) -> None:
        self._progress = self._progress.hear(self._node, room, time.monotonic())
        self._apply(moves.Heard(room))

    def _note_adoption(self, room: Room, digest: str) -> None:
        if digest == self._reload.plan.digest:  # else newer settings are on their way to it
            self._apply(moves.TookOver(room))

    def _bury(self, child: Child) -> None:
        """The death is confirmed: the successor is born at once, but starts nothing before the old tree is swept."""
        while child.has_message():
            self._hear(child)
        exit_code = self._children.bury(child)
        self._exchange.lose(child)
        if child.room is Room.EXECS:
            self._announcer.execs = [replace(state, state="waiting", pid=None) for state in self._announcer.execs]
        if exit_code:
            self._announcer.deaths += 1
        if self._departure.is_asked and child.room is Room.WORKER:
            self._give_way()  # no job runs now
        self._apply(moves.Died(child.room, exit_code))
        if self._departure.is_under_way:
            self._give_way()
        if Room.EXECS not in self._reload.plan.rooms:
            self._announcer.execs = ()
        self._let_go()

    def _take_signals(self) -> None:
        numbers = self._signals.take()
        for number in numbers:
            if number in STOP_SIGNALS:
                self._apply(moves.Signalled(number))
            elif number == signal.SIGHUP:
                self._reload.ask()
            elif number == signal.SIGUSR1:
                self._dump()
            elif number == signal.SIGUSR2:
                self._part()
        if signal.SIGCONT in numbers:
            self._wake(0.0)
        if signal.SIGCHLD in numbers:
            self._children.reap_orphans(self._others)

    def _part(self) -> None:
        """Another version is there: make room for it as the settings want, at once or when no job runs."""
        if self._node.phase is not Phase.RUNNING:
            return
        self._departure = self._departure.ask(time.monotonic())
        wait_s, worker = self._reload.plan.change_wait_s, self._children.get(Room.WORKER)
        if worker is None or not wait_s:
            self._give_way()
        elif not self._departure.is_under_way:
            self._log.info("node.awaits_idle", bound_s=wait_s)
            worker.send(WhenIdle())

    def _give_way(self) -> None:
        """Make room for another version: what runs may take its time, nothing new begins, background commands last."""
        if self._node.phase is not Phase.RUNNING:
            return
        if not self._departure.is_under_way:
            self._log.info("node.gives_way")
            self._departure = self._departure.begin()
            self._reload.close()
            self._updates.close()
        rooms = {child.room for child in self._node.children}
        kept = (Room.EXECS,) if rooms == {Room.WORKER, Room.EXECS} else ()
        plan = self._reload.plan
        self._apply(moves.Renewed(plan.rules, plan.early_deaths, kept, frozenset()))

    def _dump(self) -> None:
        """Write down what this node holds, and have the children do so."""
        for line in lines_of(self._node, self._children, self._progress, self._reload.dumped(), time.monotonic()):
            self._say(line)
        for child in self._children.all():
            child.send(Dump())

    def _enforce(self, plan: Plan) -> None:
        """Bring new settings into force: in place, or by successors of the children that cannot take them over."""
        self._holdings.take(plan)
        born_with = self._children.plans
        outdated = {room for room, older in born_with.items() if older.fixed[room] != plan.fixed[room]}
        self._apply(moves.Renewed(plan.rules, plan.early_deaths, plan.rooms, frozenset(outdated)))
        self._progress = self._progress.renew(self._node, time.monotonic())
        self._let_go()

    def _let_go(self) -> None:
        """Close what only older plans name; a living child counts with the plan that it was born with."""
        self._holdings.keep((self._reload.plan, *self._children.plans.values()))

    @property
    def _others(self) -> frozenset[int]:
        """Processes of the node that are no children of a room."""
        return self._reload.pids | self._updates.pids

    def _taker(self) -> Child | None:
        """The execs child, if it takes orders."""
        is_ready = any(child.room is Room.EXECS and child.life is Life.READY for child in self._node.children)
        return self._children.get(Room.EXECS) if is_ready else None
