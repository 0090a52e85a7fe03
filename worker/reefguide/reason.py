"""Why a job failed, as a small text beside its files: for operators, as the API has no place for it (row 13).

Written where the node's own environment has credentials for the storage, and where that answers. Nobody waits for it
for long, and without it all goes on: the reason stands in the record and the log of the job as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from job_item.errors import Unavailable
from job_item.job import JobRecord, Status
from job_item.redact import Redactor
from worker.journal import Grant, Journal
from worker.output import Output, spool_path
from worker.reefguide.result import LIMIT_BYTES, result_of
from worker.reefguide.stock import Stock

if TYPE_CHECKING:
    from job_item.storage import Storage

NAME = "failure.txt"
TAIL_BYTES = 16 << 10
"""How much of the end of the output goes with it."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """Leaves texts beside the files of jobs."""

    journal: Journal
    logs: Path
    stock: Stock
    redactor: Redactor

    async def leave(self, grant: Grant, refusal: str = "") -> None:
        """Write why the job of `grant` failed; `refusal` is why a result of it is not posted, if that is the reason."""
        if not self.stock.is_known:
            return
        try:
            record = self.journal.record(grant.task_id or "")
        except Unavailable:
            return  # the journal says so itself
        if record is None:
            return  # it has ended long ago

        def write(storage: Storage) -> None:
            text = self.redactor.text(self._text(grant, record, refusal))
            storage.write(NAME, text.encode(), content_type="text/plain; charset=utf-8")

        await self.stock.use(grant.storage_uri or "", write, "reason.unkept")

    def _text(self, grant: Grant, record: JobRecord, refusal: str) -> str:
        output = Output(Path(spool_path(str(self.logs), record.task_id, record.attempt)))
        end = output.size()
        tail = output.read(max(0, end - TAIL_BYTES), TAIL_BYTES).decode(errors="replace")
        lines = [
            f"job {grant.job_id} ({grant.job_type}), assignment {grant.assignment_id}, task {record.task_id}",
            f"attempt {record.attempt} ended with status {record.status}",
            *self._reasons(grant, record, output, refusal),
            "",
            f"The last {len(tail)} characters of its output:" if tail else "It wrote no output.",
        ]
        return "\n".join([*lines, tail])

    @staticmethod
    def _reasons(grant: Grant, record: JobRecord, output: Output, refusal: str) -> list[str]:
        found = [f"{record.error_code}: {record.error}"] if record.error_code else []
        if record.status is Status.FINISH:
            returned = record.attempts[-1].output if record.attempts else None

            def read_output() -> bytes:
                return output.tail("stdout", LIMIT_BYTES) if returned is None else json.dumps(returned).encode()

            problem = result_of(grant.job_type, record.status, read_output).problem
            found.append(f"ERR-RFG-009: {problem}" if problem else refusal)
        return found
