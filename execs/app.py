"""The execs child: the only place where its parts are wired.

Theory of operation. Each exec has a watchman that starts it in a keeper, hears of its end and of its probes, and asks
the policy (a table) what follows. The roster holds the watchmen: it starts those whose dependencies are met, ends them
in the reverse order, and carries out orders and new settings. Commands are started when the parent has said that
nothing of a dead predecessor is left. On `Drain` and `Retire` all are ended: stop signal, grace, KILL; on `Cancel` in
no order. End-of-file on the link means that the parent is gone: the process ends; its keepers kill what they run.

This module is imported in the forkserver before any child is born: importing it opens nothing and starts no thread.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from typing import NoReturn

from execs import diary
from execs.roster import Roster
from job_item import log, process
from job_item.errors import NodeError
from job_item.execspec import Exec
from job_item.exits import Exit
from job_item.keeper.pool import KeeperPool
from job_item.link import Adopted, ChildStart, Connection, ExecStates, StopNode
from job_item.orders import Answer
from job_item.room import Room, TreeLock
from job_item.state import StateFolder

KILL_LIMIT_S = 3.0
"""How long the end of what is killed is waited for."""


def main(start: ChildStart, connection: Connection | None) -> None:
    """Be the execs child until the end; never returns. `connection` is None where the room is run by hand."""
    process.close_all_on_exec()
    if connection is not None:
        process.own_session()
    process.become_subreaper()
    _configure_log(start)
    try:
        code = asyncio.run(ExecsChild(start, connection).run())
    except NodeError as error:
        log.get("execs").error("execs.failed", code=error.code, reason=error.message)
        code = Exit.FAILURE
    sys.exit(code)


class ExecsChild:
    """The execs of a node and their life from start to end."""

    def __init__(self, start: ChildStart, connection: Connection | None) -> None:
        self._start = start
        self._connection = connection
        self._exit = Exit.DONE

    async def run(self) -> int:
        """Work until told to stop; returns the exit code."""
        folder = StateFolder(self._start.state_dir)
        folder.prepare()
        lock = folder.lock("execs")
        tree_lock = TreeLock(self._start.state_dir / "execs-tree.lock")
        room = Room(self._start.settings, self._connection)
        pool = KeeperPool(lock=tree_lock.descriptor, open_files=process.raise_open_files(), on_fatal=_die)
        pool.open()
        roster = self._muster(room, pool)
        room.ready()
        if await room.unless_stopped(_take_over(room, tree_lock)):
            roster.open()
            await room.drain_asked.wait()
        await self._drain(room, roster)
        await pool.close()
        room.drained()
        lock.release()
        return self._exit

    def _muster(self, room: Room, pool: KeeperPool) -> Roster:
        """Wire the execs to the link: settings, orders and states."""
        roster = Roster(
            pool, os.environ, lambda states: room.say(ExecStates(states)), lambda spec: self._cascade(room, spec)
        )

        def adopt(packed: bytes) -> None:
            try:
                start: ChildStart = pickle.loads(packed)  # noqa: S301 - it comes from this node
                _configure_log(start, self._start.secrets())
                roster.adopt(start)
            except Exception as bug:  # the parent has checked them: the successor starts with them
                _die(bug, code="ERR-LNK-002")
            self._start = start
            room.follow(start.settings)
            room.say(Adopted(start.digest))

        room.adopt = adopt
        room.dump = lambda: diary.dump(roster.states)
        room.obey = lambda order: room.say(Answer(order.number, roster.obey(order)))
        roster.adopt(self._start)
        return roster

    def _cascade(self, room: Room, spec: Exec) -> None:
        log.get("execs").error("exec.cascaded", code="ERR-EXE-004", exec=spec.key)
        room.say(StopNode(Exit.CASCADE, f"exec {spec.key} is down and has cascade_exit"))
        if self._connection is None:  # run by hand: this room is the node
            self._exit = Exit.CASCADE
            room.drain_asked.set()

    async def _drain(self, room: Room, roster: Roster) -> None:
        """End all execs in their order; upon the second request all together; what is left at the end is killed."""
        roster.close()
        grace_s = max((spec.stop_grace for spec in self._start.settings.execs), default=0.0)
        if room.is_replaced:
            await _first(roster.gone, room.stop_asked, within_s=None)
        bound_s = max(room.grace_s or 0.0, grace_s)
        if not await _first(roster.gone, room.cancel_asked, within_s=bound_s) and room.cancel_asked.is_set():
            roster.hasten()
            await _first(roster.gone, within_s=grace_s)
        if not roster.gone.is_set():
            roster.kill()
            await _first(roster.gone, within_s=KILL_LIMIT_S)


async def _first(wanted: asyncio.Event, other: asyncio.Event | None = None, *, within_s: float | None) -> bool:
    """Wait for one of two events, within a time (None: without bound); tells whether it was the wanted one."""
    waits = [asyncio.ensure_future(event.wait()) for event in (wanted, other) if event is not None]
    await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return wanted.is_set()


def _configure_log(start: ChildStart, older_secrets: tuple[str, ...] = ()) -> None:
    """Let the log be as `start` says; `older_secrets` are those that what still runs was started with."""
    log.configure(start.settings.log, room="execs", secrets=(*start.secrets(), *older_secrets), environ=os.environ)


async def _take_over(room: Room, tree_lock: TreeLock) -> None:
    """Wait until nothing of a predecessor is left: the parent says so, and its tree's lock is free."""
    await room.swept.wait()
    await tree_lock.take()


def _die(exception: BaseException, code: str = "ERR-RUN-014") -> NoReturn:
    """This process cannot do its work any more: a new one puts it right."""
    log.get("execs").critical("execs.died", code=code, reason=repr(exception))
    os._exit(Exit.BUG)
