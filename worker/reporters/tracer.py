"""The reporter that traces: one OpenTelemetry span for each job, made when the job has ended.

Its id is worked out from the task id (`job_item.trace.of_job`), so that the job knows it while it runs, and the span is
whole although processes of the node were replaced meanwhile: what it says comes from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from job_item import __version__
from job_item.job import JobRecord, Status
from job_item.trace import Trace, of_job
from worker.aside import aside
from worker.journal import Settlement
from worker.seams import Assignment

CLOSE_S = 2.0
"""How long the end of the node waits for the last spans to be sent."""


class NextIds(IdGenerator):
    """Gives the ids that were set beforehand: spans are made one at a time, by one thread."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 1

    def generate_trace_id(self) -> int:
        """The id of the next trace."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """The id of the next span."""
        return self.span_id


class Tracer:
    """Makes the span of each job that ends (`worker.seams.Reporter`)."""

    def __init__(self, processor: SpanProcessor, resource: Resource, lookup: Callable[[str], JobRecord | None]) -> None:
        self._ids = NextIds()
        self._lookup = lookup
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("job_item", __version__)

    def context(self, assignment: Assignment) -> Trace:
        """What the job is told of its trace: its own span is what its spans stand below."""
        return of_job(assignment.task_id, assignment.trace)

    def accepted(self, record: JobRecord) -> None:
        """The span begins here, and is made at the end."""

    def started(self, assignment: Assignment) -> None:
        """Told at the end."""

    def output(self, task_id: str) -> None:
        """Not traced."""

    def noted(self, task_id: str) -> None:
        """Not traced."""

    def settled(self, assignment: Assignment, end: Settlement, status: Status, details: dict[str, Any]) -> None:  # noqa: ARG002
        """An attempt has ended; the last one ends the span."""
        record = self._lookup(assignment.task_id) if status.is_final else None
        if record is None:
            return
        own = of_job(assignment.task_id, assignment.trace)
        self._ids.trace_id, self._ids.span_id = int(own.trace_id, 16), int(own.span_id, 16)
        span = self._tracer.start_span(
            f"job {record.event}",
            context=set_span_in_context(_caller(assignment.trace)) if assignment.trace else None,
            kind=SpanKind.CONSUMER,
            start_time=_ns(record.created_at),
            attributes={
                "job_item.task_id": record.task_id,
                "job_item.event": record.event,
                "job_item.status": str(record.status),
                "job_item.attempts": record.attempt,
            },
        )
        _tell(span, record)
        span.end(_ns(end.finished_at))

    async def close(self) -> None:
        """Send what is left, within a bound."""
        await asyncio.wait({aside(self._provider.shutdown)}, timeout=CLOSE_S)


def make_tracer(identity: str, lookup: Callable[[str], JobRecord | None]) -> Tracer:
    """The tracer as the OTEL_* variables want it; the SDK reads them itself."""
    resource = Resource.create({SERVICE_INSTANCE_ID: identity})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "job_item"}))
    return Tracer(BatchSpanProcessor(OTLPSpanExporter()), resource, lookup)


def _caller(trace: Trace) -> Span:
    return NonRecordingSpan(
        SpanContext(
            trace_id=int(trace.trace_id, 16),
            span_id=int(trace.span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(int(trace.flags, 16)),
            trace_state=TraceState.from_header([trace.state]),
        )
    )


def _tell(span: Span, record: JobRecord) -> None:
    """What became of each attempt, and of the job."""
    for attempt in record.attempts:
        number = {"job_item.attempt": attempt.attempt}
        span.add_event("started", number, _ns(attempt.started_at))
        if attempt.finished_at is not None:
            span.add_event("ended", {**number, "job_item.status": str(attempt.status)}, _ns(attempt.finished_at))
    if record.exit_code is not None:
        span.set_attribute("process.exit.code", record.exit_code)
    if record.status is not Status.FINISH:
        span.set_attribute("error.type", record.error_code or str(record.status))
        span.set_status(StatusCode.ERROR, record.error)


def _ns(moment: float) -> int:
    return int(moment * 1e9)
