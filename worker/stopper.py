"""Ends jobs on request at whatever stage they are, whoever asks: the local API, or a control message."""

from __future__ import annotations

from collections.abc import Callable

from job_item.job import JobRecord, Status
from worker.dispatch import Dispatcher
from worker.journal import Journal
from worker.news import News
from worker.reporters.subjects import SubjectReporter
from worker.seams import Lessor
from worker.sources.trigger import Action


class Stopper:
    """Marks the wish in the journal, and carries it out. `speaker` is there where the node has a broker."""

    def __init__(
        self,
        journal: Journal,
        dispatcher: Dispatcher,
        news: News,
        speaker: SubjectReporter | None = None,
        lessor: Lessor | None = None,
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._news = news
        self._speaker = speaker
        self.on_ended: Callable[[str], None] = lambda _: None
        """Called with the task id of each job that has ended without an attempt that was settled here."""
        self._lessor = lessor

    async def stop(self, task_id: str, wish: Status) -> JobRecord | None:
        """Ask for the end of a job, with the status `wish`.

        Returns its record right away, None when it is unknown. Raises Unavailable.
        """
        words = self._speaker.last_words() if self._speaker is not None else None
        record = await self._journal.ask_cancel(task_id, wish, words)
        if record is not None:
            self._dispatcher.stop(task_id, wish.value)
            if record.status.is_final:
                self.on_ended(task_id)
                if self._speaker is not None:
                    self._speaker.ended(task_id)
                if self._lessor is not None:
                    self._lessor.settled(task_id, record.status, is_dead=False)
            self._news.publish(task_id)
        return record

    async def obey(self, task_id: str, action: Action) -> None:
        """Do what a control message asks for."""
        if self._speaker is not None:
            self._speaker.asked(task_id)
        await self.stop(task_id, Status(action))
