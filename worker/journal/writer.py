"""The one thread that writes the journal: it commits what waits as one group and tells the callers, all at once."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from job_item.errors import Bug, NodeError, Unavailable
from worker.faults import FaultPoints
from worker.journal.operations import Operation
from worker.journal.tally import Change, Tally, count

GROUP_LIMIT = 256
FOLD_AFTER, PAUSE_S = 200, 0.005

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

_WRITE, _WRITE_DONE = attrgetter("operation.write"), attrgetter("order.operation.write")

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
    """Owns the write connection. What stands above the line belongs to the loop's thread, what stands below to its own.

    `on_fatal` is called in the loop when the thread has died; the process cannot go on then.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        tally: Tally,
        *,
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        faults: FaultPoints,
    ) -> None:
        self._db = db
        self._cursor = db.cursor()
        self._unfolded = 0
        self._tally = tally
        self._loop = loop
        self._on_fatal = on_fatal
        self._faults = faults
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._waiting: set[asyncio.Future[Any]] = set()
        self._refusal: Callable[[], NodeError] | None = None
        self._ended: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, operation: Operation[Result]) -> asyncio.Future[Result]:
        """Have an operation written; the future is done when it is durable.

        It carries `Unavailable` when the journal cannot be written for the moment, `Bug` when the operation is at
        fault.
        """
        future: asyncio.Future[Result] = self._loop.create_future()
        if self._refusal is None:
            self._waiting.add(future)
            self._orders.put(Order(operation, future))
        else:
            future.set_exception(self._refusal())
        return future

    async def close(self) -> None:
        """Write what waits, fold the log into the file and end the thread."""
        if self._refusal is None:
            self._refusal = partial(Unavailable, "ERR-STO-005", "The journal is closed.")
            self._orders.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    def _resolve(self, group: list[Done]) -> None:
        self._faults.passing("resolve", map(_WRITE_DONE, group))
        for order, result, changes, error in group:
            self._tally.apply(changes)
            future = order.future
            self._waiting.discard(future)
            if future.done():
                continue  # the caller has gone; what it ordered is written all the same
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self._refusal = partial(Bug, "ERR-STO-004", f"The journal has failed inside: {error!r}.")
            for future in self._waiting:
                if not future.done():
                    future.set_exception(self._refusal())
            self._on_fatal(error)
        self._ended.set_result(None)

    # ------------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._tally.start.set_result(count(self._db))
            self._serve()
        except BaseException as reason:
            error = reason
            if not self._tally.start.done():
                self._tally.start.set_exception(reason)
        with suppress(sqlite3.Error):
            self._db.close()  # the last connection to close folds the log into the file
        self._tell(self._end, error)

    def _serve(self) -> None:
        while True:
            group, more = self._take()
            if group:
                self._tell(self._resolve, self._commit(group))
                self._unfolded += len(group)
            if not more:
                return

    def _tell(self, method: Callable[[Any], None], argument: object) -> None:
        """Call a method in the loop; nobody is left to hear of it when the loop is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(method, argument)

    def _take(self) -> tuple[list[Order], bool]:
        """Wait for orders and take what there is; False when no more will come."""
        group: list[Order] = []
        order = self._wait()
        while order is not None:
            group.append(order)
            if self._orders.empty() or len(group) == GROUP_LIMIT:
                return group, True
            order = self._orders.get()
        return group, False

    def _wait(self) -> Order | None:
        """Wait for the next order. After `FOLD_AFTER` orders the first pause is used to fold the log into the file."""
        if self._unfolded >= FOLD_AFTER:
            try:
                return self._orders.get(timeout=PAUSE_S)
            except queue.Empty:
                self._fold()
        return self._orders.get()

    def _fold(self) -> None:
        """Bring the log into the file; what a reader or a full disk keeps from it is left for the next time."""
        self._unfolded = 0
        with suppress(sqlite3.OperationalError):
            self._cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _commit(self, group: list[Order]) -> list[Done]:
        """Write a group in one transaction; if that fails each order in its own, so that a bad one fails alone."""
        try:
            return self._transact(group)
        except Exception as error:
            if getattr(error, "sqlite_errorname", "") in _DAMAGED:
                raise
            if len(group) == 1:
                return [Done(group[0], None, (), _translate(error))]
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


def _translate(error: Exception) -> NodeError:
    """Sort an error by what the caller can do."""
    found: NodeError
    if isinstance(error, sqlite3.OperationalError):
        found = Unavailable("ERR-STO-001", f"The journal cannot be written: {error}.")
    else:
        found = Bug("ERR-STO-004", f"The journal has failed inside: {error!r}.")
    found.__cause__ = error
    return found
