"""Tells the Job Manager about this machine, on subjects of its own (protocol job-item.md, section 8).

A report that falls into a time without a connection is left out: the next one says more than an old one would. What the
machine does not tell is logged once, and ends nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from job_item import __version__
from job_item.errors import NodeError
from job_item.hardware import Unknown
from job_item.hardware.host import host_information
from job_item.hardware.memory import memory
from job_item.hardware.network import interfaces
from job_item.hardware.processor import processor_times, utilisation
from job_item.hardware.report import counters, disks, wrap
from job_item.log import get
from job_item.manager.offer import NUMBER, Offer
from job_item.release.marker import Marker
from worker import subjects
from worker.aside import aside
from worker.brokers.session import Session


@dataclass(frozen=True, slots=True)
class Versions:
    """What is told of versions: a newer worker that the Job Manager would have, which releases are taken (None: none),
    and what became of them.
    """

    offer: Offer | None = None
    channel: str | None = None
    updates: Marker = Marker()


SAMPLE_S = 1.0
"""How long the processors are watched for a report on them."""
HOST_S, MINUTE_S = 300.0, 60.0

Query = Callable[[], Any]


class Reports:
    """Reports as long as it runs.

    `project` is the project's UUID; `folders` are those whose disks are told of; `versions` gives what is known of
    versions now.
    """

    def __init__(
        self,
        session: Session,
        host_id: str,
        project: str,
        folders: tuple[Path, ...],
        versions: Callable[[], Versions],
        period_s: float = MINUTE_S,
    ) -> None:
        self._session = session
        self._wrap = partial(wrap, host_id=host_id, project=project)
        self._folders = folders
        self._versions = versions
        self._period_s = period_s
        self._host_s = period_s * HOST_S / MINUTE_S
        self._silent: set[str] = set()
        """What the machine did not tell when it was asked last."""
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._logger = get("worker")

    def start(self) -> None:
        """Report from now on, at first as soon as there is a connection."""
        rounds = (
            (self._host_s, self._tell_host),
            (self._host_s, self._tell_version),
            (self._period_s, self._tell_load),
            (self._period_s, self._tell_network),
            (self._period_s, self._tell_disks),
        )
        loop = asyncio.get_running_loop()
        self._tasks = tuple(loop.create_task(self._repeat(pause_s, tell)) for pause_s, tell in rounds)

    async def stop(self) -> None:
        """Report nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, pause_s: float, tell: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._session.connected()
            try:
                await tell()
            except Exception as bug:  # a report is never worth the process
                self._logger.error("report.failed", code="ERR-HST-003", reason=repr(bug), exc_info=bug)
            await asyncio.sleep(pause_s)

    async def _tell_host(self) -> None:
        """The bare object, without the wrapper (section 8.1)."""
        await self._tell("host", host_information, lambda data: data)

    async def _tell_version(self) -> None:
        """Which worker this is, which ones it had, and a newer one: a report of our own, like that on disks."""
        await self._tell("version", lambda: version(self._versions()), self._wrap)

    async def _tell_load(self) -> None:
        """Processors over a second, then memory (sections 8.2 and 8.3)."""
        before = self._ask("cpu", processor_times)
        await asyncio.sleep(SAMPLE_S)
        if before is not None:
            await self._tell("cpu", lambda: utilisation(before, processor_times()), self._wrap)
        await self._tell("mem", memory, self._wrap)

    async def _tell_network(self) -> None:
        """The interfaces (section 8.4), and what went through them."""
        await self._tell("net", interfaces, self._wrap)
        await self._tell("traffic", counters, self._wrap)

    async def _tell_disks(self) -> None:
        """Beside the loop, as a dead mount answers never; then there is no other report on disks."""
        await self._publish("disk", await aside(lambda: self._ask("disk", lambda: disks(self._folders))), self._wrap)

    async def _tell(self, what: str, query: Query, shape: Callable[[Any], Any]) -> None:
        await self._publish(what, self._ask(what, query), shape)

    async def _publish(self, what: str, data: Any, shape: Callable[[Any], Any]) -> None:
        connection = self._session.connection
        if data is None or connection is None:
            return
        body = json.dumps(shape(data), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        with suppress(NodeError):  # the next one says more
            await connection.publish(subjects.report(what), body)

    def _ask(self, what: str, query: Query) -> Any:
        """Ask the machine; None where it does not tell, which is logged when it begins."""
        try:
            found = query()
        except Unknown as error:
            if what not in self._silent:
                self._silent.add(what)
                self._logger.warning("report.unknown", code=error.code, report=what, reason=error.message)
            return None
        self._silent.discard(what)
        return found


def version(versions: Versions) -> dict[str, Any]:
    """The members of the report on versions.

    `offered` is null where this worker will do, `channel` where updates are off, `last` where there was none.
    """
    offer, last = versions.offer, versions.updates.last
    return {
        "version": __version__,
        "number": NUMBER,
        "offered": None if offer is None else {"number": offer.number, "version": offer.version},
        "channel": versions.channel,
        "last": None if last is None else {"version": last.version, "result": last.result, "reason": last.reason},
    }
