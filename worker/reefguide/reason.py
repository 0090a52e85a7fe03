"""Why a job failed, as a small text beside its files: for operators, as the API has no place for it (row 13).

Written where the node's own environment has credentials for the storage, and where that answers. Nobody waits for it
for long, and without it all goes on: the reason stands in the record and the log of the job as well.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from job_item.errors import NodeError, Unavailable
from job_item.job import JobRecord, Status
from job_item.log import get
from job_item.redact import Redactor
from job_item.reefspec import ReefGuide
from job_item.storage.keys import are_known
from worker.aside import aside
from worker.journal import Grant, Journal
from worker.output import Output, spool_path
from worker.reefguide.result import LIMIT_BYTES, result_of

NAME = "failure.txt"
LIMIT_S = 5.0
TAIL_BYTES = 16 << 10
"""How much of the end of the output goes with it."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """Leaves texts in the storage of jobs. Parameter `environ`: the node's, with what `.env` says."""

    settings: ReefGuide
    journal: Journal
    logs: Path
    environ: Mapping[str, str]
    redactor: Redactor

    async def leave(self, grant: Grant, refusal: str = "") -> None:
        """Write why the job of `grant` failed; `refusal` is what the API says of its result, if that is why."""
        if not are_known(self.settings.s3_endpoint, self.environ):
            return
        try:
            record = self.journal.record(grant.task_id or "")
        except Unavailable:
            return  # the journal says so itself
        if record is None:
            return  # it has ended long ago
        writing = aside(partial(self._write, grant, record, refusal))
        done, _ = await asyncio.wait({writing}, timeout=LIMIT_S)
        error = writing.exception() if done else None
        if error is not None or not done:
            code = error.code if isinstance(error, NodeError) else "ERR-STG-003"
            why = str(error) if error is not None else f"the storage did not answer within {LIMIT_S:g} s"
            get("worker").warning("reason.unkept", code=code, task_id=grant.task_id, job_id=grant.job_id, reason=why)

    def _write(self, grant: Grant, record: JobRecord, refusal: str) -> None:
        """Put the text into the storage; waits. Raises NodeError."""
        from job_item.storage import open_storage
        from job_item.storage.bucket import Patience

        patience = Patience(attempts=2, connect_s=LIMIT_S, silence_s=LIMIT_S, trying_s=LIMIT_S)
        region, endpoint = self.settings.aws_region, self.settings.s3_endpoint
        uri = grant.storage_uri or ""
        storage = open_storage(uri, region=region, endpoint=endpoint, environ=self.environ, patience=patience)
        text = self.redactor.text(self._text(grant, record, refusal))
        storage.write(NAME, text.encode(), content_type="text/plain; charset=utf-8")

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

            problem = result_of(grant.job_type, record.status, read_output).problem or refusal
            found.append(f"ERR-RFG-009: {problem}")
        return found
