"""The job child: its process, from the first line to the last.

Theory of operation. The child opens the journal and answers on the API at once; while the journal cannot be opened a
`ClosedDesk` answers, and opening is tried again. With a journal the parts (`worker.parts`) work until the parent says
that it is enough. End-of-file on the link means that the parent is gone: the process ends at once, and its keepers kill
what they run.

This module is imported in the forkserver before any child is born: importing it opens nothing and starts no thread.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from itertools import count

from job_item import log, process
from job_item.errors import NodeError, Unavailable
from job_item.exits import Exit
from job_item.link import ChildStart, Connection
from job_item.room import Room
from job_item.state import StateFolder
from worker.about import About
from worker.adopt import Adopter
from worker.api.server import Server
from worker.closed import ClosedDesk
from worker.faults import FaultPoints
from worker.journal import Journal
from worker.parts import RETRY, JobChild, die
from worker.standing import Board, Standing


def main(start: ChildStart, connection: Connection | None, api_socket: socket.socket) -> None:
    """Be the job child until the end; never returns.

    Parameters: `connection`, the link to the parent, None where the room is run by hand; `api_socket`, bound and
    listening.
    """
    process.close_all_on_exec()
    if connection is not None:
        process.own_session()
    process.become_subreaper()
    log.configure(start.settings.log, room="worker", secrets=start.secrets(), environ=os.environ)
    try:
        code = asyncio.run(_run(start, connection, api_socket))
    except NodeError as error:
        log.get("worker").error("worker.failed", code=error.code, reason=error.message)
        code = Exit.FAILURE
    sys.exit(code)


async def _run(start: ChildStart, connection: Connection | None, api_socket: socket.socket) -> int:
    folder = StateFolder(start.state_dir)
    folder.prepare()
    lock = folder.lock("worker")
    room = Room(start.settings, connection)
    about = About(start, room.say if connection is not None else None)
    room.learn = about.learn
    board = Board(Standing.of(start, os.environ))
    adopter = Adopter(board, room, partial(die, code="ERR-LNK-002"))
    room.adopt = adopter.take
    token = start.settings.api.token
    secret = token.get_secret_value() if token else None
    desk = ClosedDesk(about)
    server = Server(desk, api_socket, secret, host=start.settings.api.host)
    room.take_answer = about.orders.take
    journal = await _open_journal(start, room, server, desk)
    if journal is not None:
        child = JobChild(about, board, room, journal)
        adopter.act = child.refresh
        await child.serve(server)
        adopter.stop()
        await journal.close()
    else:
        await server.stop()
    room.drained()
    lock.release()
    return Exit.DONE


async def _open_journal(start: ChildStart, room: Room, server: Server, desk: ClosedDesk) -> Journal | None:
    """The journal as soon as it can be opened; None when this room is to stop before that.

    A full disk, or another process that holds the file, passes: until then the room beats and the API says why.
    """
    open_it = partial(
        Journal.open,
        start.state_dir / "journal.sqlite",
        incarnation=start.incarnation,
        sync=start.settings.sync,
        loop=asyncio.get_running_loop(),
        on_fatal=die,
        faults=FaultPoints.from_environ(os.environ),
    )
    for failures in count(1):
        try:
            journal = open_it()
        except Unavailable as error:
            desk.reason = error.message
            if not server.is_up:
                log.get("worker").error("journal.shut", code=error.code, reason=error.message)
                await server.start()
                room.ready()
        else:
            if server.is_up:
                log.get("worker").info("journal.opened")
            return journal
        with suppress(TimeoutError):
            await asyncio.wait_for(room.drain_asked.wait(), RETRY.delay_s(failures, 0.0))
            break
    return None
