"""The execs child: the only place where its parts are wired.

Theory of operation. Each exec has a watchman of its own that starts it in a keeper, waits for its end and asks the
policy what follows. Commands are started when the parent has said that nothing of a dead predecessor is left. On
`Drain` and `Cancel` all are ended: TERM, grace, KILL. End-of-file on the link means that the parent is gone: the
process ends at once, and its keepers kill what they run.

This module is imported in the forkserver before any child is born: importing it opens nothing and starts no thread.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from execs.watchman import Watchman
from job_item import log, process
from job_item.environ import base_environment, share_variables
from job_item.errors import NodeError
from job_item.exits import Exit
from job_item.keeper.command import Command
from job_item.keeper.pool import KeeperPool
from job_item.link import ChildStart, Connection, ExecStates, StopNode
from job_item.room import Room, TreeLock
from job_item.settings import Exec
from job_item.state import StateFolder, exec_log

STOP_GRACE_S = 5.0
STOP_LIMIT_S = 2.0
LOG_BYTES = 16 << 20
"""Size at which an exec's log file is rotated; one older file is kept."""


def main(start: ChildStart, connection: Connection | None) -> None:
    """Be the execs child until the end; never returns. `connection` is None where the room is run by hand."""
    process.close_all_on_exec()
    if connection is not None:
        process.own_session()
    process.become_subreaper()
    log.configure(start.settings.log, room="execs", secrets=start.secrets(), environ=os.environ)
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
        self._logger = log.get("execs")
        self._watchmen: list[Watchman] = []

    async def run(self) -> int:
        """Work until told to stop; returns the exit code."""
        folder = StateFolder(self._start.state_dir)
        folder.prepare()
        lock = folder.lock("execs")
        tree_lock = TreeLock(self._start.state_dir / "execs-tree.lock")
        room = Room(self._start.settings, self._connection)
        pool = KeeperPool(lock=tree_lock.descriptor, open_files=process.raise_open_files(), on_fatal=_die)
        pool.open()
        room.ready()
        if await room.unless_stopped(_take_over(room, tree_lock)):
            await self._watch(room, pool)
        await pool.close()
        room.drained()
        lock.release()
        return Exit.DONE

    async def _watch(self, room: Room, pool: KeeperPool) -> None:
        """Keep the execs alive until this room is to stop, then end them."""
        watchmen = [Watchman(spec, self._command(spec), pool, self._tell) for spec in self._start.settings.execs]
        self._watchmen, self._room = watchmen, room
        tasks = [asyncio.create_task(self._guard(watchman)) for watchman in watchmen]
        await room.drain_asked.wait()
        for watchman in watchmen:
            watchman.stop(STOP_GRACE_S)
        down = asyncio.create_task(_all_down(watchmen))
        cancel = asyncio.create_task(room.cancel_asked.wait())
        waits: set[asyncio.Task[Any]] = {down, cancel}
        await asyncio.wait(waits, timeout=STOP_GRACE_S + STOP_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        for task in tasks:
            task.cancel()

    async def _guard(self, watchman: Watchman) -> None:
        if await watchman.watch():
            reason = f"exec {watchman.spec.key} is down and has cascade_exit"
            self._logger.error("exec.cascaded", code="ERR-EXE-004", exec=watchman.spec.key)
            self._room.say(StopNode(Exit.CASCADE, reason))

    def _tell(self) -> None:
        self._room.say(ExecStates(tuple(watchman.state for watchman in self._watchmen)))

    def _command(self, spec: Exec) -> Command:
        """An exec as a keeper runs it (protocol job-item.md, sections 5.1 and 5.2)."""
        start = self._start
        cwd = start.config_path.parent / spec.working_dir if spec.working_dir else start.config_path.parent
        return Command(
            argv=("sh", "-c", spec.cmd),
            env={
                **base_environment(os.environ, start.dotenv, start.settings.pass_env),
                **exec_variables(start.settings.project, start.local_url()),
                **share_variables(start.local_url(), {**start.dotenv, **os.environ}),
                **spec.env,
            },
            cwd=str(cwd),
            spool=str(exec_log(start.state_dir, spec.key)),
            output_limit=LOG_BYTES,
            rotate=True,
            grace_s=STOP_GRACE_S,
            announce=True,
        )


def exec_variables(project: str, base_url: str) -> dict[str, str]:
    """What an exec is told of its node (protocol job-item.md, section 5.2)."""
    record = f"{base_url}/job/listen/job_record/:job_record_uuid"
    return {
        "JOB_ITEM_APP_ID": project,
        "JOB_ITEM_BASE_URL": base_url,
        "JOB_ITEM_CREATE_URL": f"{base_url}/job/create",
        "JOB_ITEM_LISTEN_LOG": f"{record}/log",
        "JOB_ITEM_LISTEN_NOTIF": f"{record}/notif",
        "JOB_ITEM_LISTEN_ACTION": f"{base_url}/job/job_record/:job_record_uuid/action/:action",
    }


async def _all_down(watchmen: list[Watchman]) -> None:
    for watchman in watchmen:
        await watchman.down.wait()


async def _take_over(room: Room, tree_lock: TreeLock) -> None:
    """Wait until nothing of a predecessor is left: the parent says so, and its tree's lock is free."""
    await room.swept.wait()
    await tree_lock.take()


def _die(exception: BaseException) -> None:
    """No command can be started any more: a new process puts it right, this one must not go on."""
    log.get("execs").critical("execs.died", code="ERR-RUN-014", reason=repr(exception))
    os._exit(Exit.BUG)
