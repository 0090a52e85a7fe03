"""All execs of a node: who may start, who may end, and what new settings and orders do to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from execs.commands import command_of
from execs.probes import Inquirer
from execs.tables import Cue, Stage
from execs.tree import may_end, unmet
from execs.watchman import Watchman
from job_item.execspec import Exec
from job_item.keeper.pool import KeeperPool
from job_item.link import ChildStart, ExecState
from job_item.orders import ExecOrder, Refusal

_IN_WORDS = {
    Stage.WAITING: "waits for others",
    Stage.TURNING: "is being restarted",
    Stage.HALTING: "is being stopped",
    Stage.STOPPED: "is stopped",
    Stage.DONE: "has ended",
    Stage.FAILED: "is given up",
    Stage.BACKOFF: "waits for its next try",
}


class Roster:
    """The watchmen by key, and those of execs that are leaving: removed, or of a node that drains.

    Whatever happens to one is followed by one look at all, in the next turn of the loop: those whose dependencies are
    met are started, those that leave are ended when nobody that leaves with them depends on them.
    """

    def __init__(
        self,
        pool: KeeperPool,
        environ: Mapping[str, str],
        tell: Callable[[tuple[ExecState, ...]], None],
        cascade: Callable[[Exec], None],
    ) -> None:
        self.gone = asyncio.Event()
        """Set once the roster is closed and no exec runs any more."""
        self._pool = pool
        self._environ = environ
        self._inquirer = Inquirer(pool)
        self._tell = tell
        self._cascade = cascade
        self._loop = asyncio.get_running_loop()
        self._watchmen: dict[str, Watchman] = {}
        self._leaving: list[Watchman] = []
        self._released: set[Watchman] = set()
        self._told: tuple[ExecState, ...] = ()
        self._is_open = self._is_closed = self._is_due = False

    @property
    def states(self) -> tuple[ExecState, ...]:
        """Where each exec stands, as it was told last."""
        return self._told

    def open(self) -> None:
        """From now on execs may be started: nothing of a predecessor is left."""
        self._is_open = True
        self._look_soon()

    def adopt(self, start: ChildStart) -> None:
        """Bring settings into force: the first ones and any that follow.

        Execs that are not in them any more are stopped, new ones are started, those that would be run in another way
        are restarted once the old run is gone; all others go on.
        """
        if self._is_closed:
            return
        specs = {spec.key: spec for spec in start.settings.execs}
        self._leave([key for key in self._watchmen if key not in specs])
        before, self._watchmen = self._watchmen, {}
        for key, spec in specs.items():
            command = command_of(spec, start, self._environ)
            watchman = before.get(key)
            if watchman is None:
                watchman = Watchman(spec, command, self._pool, self._inquirer, self._look_soon, self._cascade)
            self._watchmen[key] = watchman
            watchman.adopt(spec, command)
        self._look_soon()

    def obey(self, order: ExecOrder) -> Refusal | None:
        """Carry an order out, or say why not."""
        watchman = self._watchmen.get(order.key)
        if watchman is None:
            return Refusal("ERR-EXE-011", f"There is no exec '{order.key}'.")
        cue = Cue(order.verb)
        if self._is_closed or not watchman.life.takes(cue):
            stage = "leaves with the node" if self._is_closed else _IN_WORDS.get(watchman.life.stage, "runs")
            return Refusal("ERR-EXE-012", f"The exec '{order.key}' {stage}: there is nothing to {order.verb}.")
        watchman.feed(cue)
        return None

    def close(self) -> None:
        """Start nothing any more and end all, dependents before what they depend on; `gone` tells when."""
        self._is_closed = True
        self._leave(list(self._watchmen))

    def hasten(self) -> None:
        """Have all end now, in no order."""
        for watchman in self._leaving:
            watchman.feed(Cue.RELEASE)

    def kill(self) -> None:
        """End at once whatever still runs."""
        for watchman in self._leaving:
            watchman.kill()

    def _leave(self, keys: list[str]) -> None:
        for key in keys:
            watchman = self._watchmen[key]
            self._leaving.append(watchman)
            watchman.feed(Cue.CLOSE)
        if not self._is_closed:
            for key in keys:
                del self._watchmen[key]
        self._look_soon()

    def _look_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Bring everything to where it should be now; what that changes is looked at again."""
        self._is_due = False
        self._leaving = [watchman for watchman in self._leaving if watchman.life.stage is not Stage.GONE]
        self._released.intersection_update(self._leaving)
        self._release()
        if self._is_open:
            self._start()
        self._tell_changes()
        if self._is_closed and not self._leaving:
            self.gone.set()

    def _release(self) -> None:
        needs = {watchman.spec.key: tuple(watchman.spec.depends_on) for watchman in self._leaving}
        free = may_end(needs, needs)
        for watchman in self._leaving:
            if watchman.spec.key in free and watchman not in self._released:
                self._released.add(watchman)
                watchman.feed(Cue.RELEASE)

    def _start(self) -> None:
        lives = {key: watchman.life for key, watchman in self._watchmen.items()}
        held = {watchman.spec.key for watchman in self._leaving}
        for key, watchman in self._watchmen.items():
            if watchman.life.stage is Stage.WAITING and key not in held and not unmet(watchman.spec.depends_on, lives):
                watchman.feed(Cue.SATISFIED)

    def _tell_changes(self) -> None:
        lives = {key: watchman.life for key, watchman in self._watchmen.items()}
        removed = [watchman for watchman in self._leaving if watchman.spec.key not in self._watchmen]
        states = tuple(
            watchman.state(unmet(watchman.spec.depends_on, lives)) for watchman in (*self._watchmen.values(), *removed)
        )
        if states != self._told:
            self._told = states
            self._tell(states)
