"""Writes the journal: what waits is committed as one group, then the callers are told, all at once.

With `sync: normal` a commit is a write to the system's own memory, some ten microseconds: it is made in the loop's
thread, since handing it to another would cost more than itself. With `sync: full` each commit waits for the disk, so
one helper thread makes them. The same thread folds the log into the file, which waits for the disk in either mode.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from job_item.errors import Bug, NodeError, Unavailable
from job_item.prompt import Prompt
from worker.faults import FaultPoints
from worker.journal import errors
from worker.journal.operation import Operation
from worker.journal.schema import fold_log, open_snapshot
from worker.journal.tally import Change, Start, Tally, count

GROUP_LIMIT = 256
FOLD_AFTER = 500
"""Steps of jobs after which the log is folded into the file, so that neither it nor the next start grows long."""
MANY = 16
"""So many steps that are written as one count as one more: they share their pages."""

_WRITE, _WRITE_DONE = attrgetter("operation.write"), attrgetter("order.operation.write")

TROUBLE_S = 10.0
"""How long a refused write is worth telling where nothing has been written since."""

Result = TypeVar("Result")


class Order(NamedTuple):
    """An operation and who waits for it."""

    operation: Operation[Any]
    future: asyncio.Future[Any]


class Done(NamedTuple):
    """What became of an order: a result and changes of the tally, or an error."""

    order: Order
    result: Any
    changes: tuple[Change, ...]
    error: Exception | None = None


class Writer:
    """Owns the write connection. One group is under way at a time.

    `on_fatal` is called in the loop when writing has failed in a way that no caller can mend; the process cannot go on.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        tally: Tally,
        *,
        sync: Literal["normal", "full"],
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        faults: FaultPoints,
    ) -> None:
        self._db = db
        self._cursor = db.cursor()
        self._path = path
        self._in_loop = sync == "normal"
        self._tally = tally
        self._loop = loop
        self._on_fatal = on_fatal
        self._faults = faults
        self._orders: list[Order] = []
        self._busy = False
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._unfolded = 0
        self._folding = False
        self._refusal: Callable[[], NodeError] | None = None
        self._trouble: tuple[float, str] | None = None
        self._helper = ThreadPoolExecutor(1, "journal")

    def start(self) -> None:
        """Count the jobs while the rest of the process starts."""
        self._tally.start = self._helper.submit(_count, open_snapshot(self._path))

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now, as far as it has been tried; one sentence."""
        if self._trouble is None or time.monotonic() - self._trouble[0] > TROUBLE_S:
            return None
        return self._trouble[1]

    def submit(self, operation: Operation[Result]) -> asyncio.Future[Result]:
        """Have an operation written; the future is done when it is durable.

        It carries `Unavailable` when the journal cannot be written for the moment, `Bug` when the operation is at
        fault.
        """
        future: Prompt[Result] = Prompt(self._loop)
        if self._refusal is None:
            self._orders.append(Order(operation, future))
            self._go_on()
        else:
            future.set_exception(self._refusal())
        return future

    async def close(self) -> None:
        """Write what waits, fold the log into the file, let go of it."""
        if self._refusal is None:
            self._refusal = partial(Unavailable, "ERR-STO-005", "The journal is closed.")
        await self._quiet.wait()
        await asyncio.to_thread(self._helper.shutdown)
        with suppress(sqlite3.Error):
            self._db.close()  # the last connection to close folds the log into the file

    def _go_on(self) -> None:
        """Write what waits as soon as those who are speaking just now have spoken: that is what makes a group."""
        if self._orders and not self._busy:
            self._busy = True
            self._quiet.clear()
            self._loop.call_soon(self._write)
        elif not self._busy:
            self._quiet.set()

    def _write(self) -> None:
        group, self._orders = self._orders[:GROUP_LIMIT], self._orders[GROUP_LIMIT:]
        if self._in_loop:
            try:
                done = self._commit(group)
            except BaseException as error:
                self._fail(group, error)
            else:
                self._finish(done)
        else:
            commit = self._loop.run_in_executor(self._helper, self._commit, group)
            commit.add_done_callback(partial(self._committed, group))

    def _committed(self, group: list[Order], commit: asyncio.Future[list[Done]]) -> None:
        error = commit.exception()
        if error is None:
            self._finish(commit.result())
        else:
            self._fail(group, error)

    def _finish(self, group: list[Done]) -> None:
        self._faults.passing("resolve", map(_WRITE_DONE, group))
        for _, _, changes, _ in group:
            self._tally.apply(changes)  # before the first caller hears of it: he may go on, and count, at once
        refusal = group[-1].error
        self._trouble = (time.monotonic(), refusal.message) if isinstance(refusal, Unavailable) else None
        for order, result, _, error in group:
            if order.future.done():
                continue  # the caller has gone; what it ordered is written all the same
            if error is None:
                order.future.set_result(result)
            else:
                order.future.set_exception(error)
        self._busy = False
        self._fold_when_due(sum(1 + len(changes) // MANY for _, _, changes, _ in group))
        self._go_on()

    def _fail(self, group: list[Order], error: BaseException) -> None:
        self._refusal = partial(Bug, "ERR-STO-004", f"The journal has failed inside: {error!r}.")
        for order in (*group, *self._orders):
            if not order.future.done():
                order.future.set_exception(self._refusal())
        self._orders, self._busy = [], False
        self._quiet.set()
        self._on_fatal(error)

    def _fold_when_due(self, steps: int) -> None:
        self._unfolded += steps
        if self._unfolded >= FOLD_AFTER and not self._folding:
            self._unfolded, self._folding = 0, True
            self._helper.submit(fold_log, self._path).add_done_callback(self._folded)

    def _folded(self, _: object) -> None:
        self._folding = False

    def _commit(self, group: list[Order]) -> list[Done]:
        """Write a group in one transaction.

        If that fails each order gets its own, so that a bad one fails alone; all fail where none could be written.
        """
        try:
            return self._transact(group)
        except Exception as error:
            if errors.is_damage(error):
                raise
            if len(group) == 1 or errors.concerns_all(error):
                return [Done(order, None, (), errors.of_use(error, "written")) for order in group]
        return [done for order in group for done in self._commit([order])]

    def _transact(self, group: list[Order]) -> list[Done]:
        self._faults.passing("begin", map(_WRITE, group))
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            done = [Done(order, *order.operation.apply(self._cursor)) for order in group]
            self._faults.passing("commit", map(_WRITE, group))
            self._cursor.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._cursor.execute("ROLLBACK")
            raise
        self._faults.passing("committed", map(_WRITE, group))
        return done


def _count(db: sqlite3.Connection) -> Start:
    try:
        return count(db)
    finally:
        db.close()
