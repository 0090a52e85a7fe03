"""The part of every desk that is about the node and not about jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from job_item.link import ExecState
from job_item.orders import Refusal, Verb
from job_item.reload import ReloadReport
from worker.about import About
from worker.desk import Health, Watch
from worker.execlog import KeptLog


class NodeDesk:
    """Answers for the node (`worker.desk.Desk`), with or without a journal."""

    def __init__(self, about: About) -> None:
        self._about = about

    def execs(self) -> Sequence[ExecState]:
        """The background commands of this node."""
        return self._about.execs()

    async def order_exec(self, key: str, verb: Verb) -> Refusal | None:
        """Have one exec started, stopped or restarted."""
        return await self._about.orders.give_exec(key, verb)

    def exec_log(self, key: str) -> KeptLog:
        """What is kept of the output of an exec."""
        return self._about.exec_log(key)

    def watch_exec(self, key: str) -> AbstractContextManager[Watch]:
        """Follow one exec: its state and its log."""
        return self._about.watch_exec(key)

    async def reload(self, *, is_dry: bool, candidate: str | None = None) -> ReloadReport | Refusal:
        """Have the settings read again and brought into force."""
        return await self._about.orders.give_reload(is_dry=is_dry, candidate=candidate)

    def health(self) -> Health:
        """What `/healthz` shows."""
        return self._about.health()
