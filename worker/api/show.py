"""From the desk's records to what the API answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from job_item.codes import REGISTER
from job_item.job import AttemptRecord, JobRecord
from job_item.link import ExecState
from job_item.manager.state import ManagerState
from job_item.release.marker import Marker
from job_item.reload import ReloadReport, SettingsState
from worker.api.models import (
    AttemptAnswer,
    DeadAnswer,
    ExecAnswer,
    Failure,
    JobAnswer,
    JobSummary,
    NoteAnswer,
    UsageAnswer,
)
from worker.api.nodemodels import (
    BrokerAnswer,
    ChangeAnswer,
    JobApiAnswer,
    ManagerAnswer,
    OutboxAnswer,
    OutcomeAnswer,
    ReloadAnswer,
    SettingsAnswer,
    UpdateAnswer,
    VersionsAnswer,
)
from worker.desk import BrokerState, JobApiState, Note, OutboxState
from worker.letters import Letter


def moment(at: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC with milliseconds."""
    whole_ms = round(at * 1000)
    text = datetime.fromtimestamp(whole_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{whole_ms % 1000:03d}Z"


def maybe_moment(at: float | None) -> str | None:
    """Write a moment that may not have come yet."""
    return None if at is None else moment(at)


def duration(started_at: float | None, finished_at: float | None) -> float | None:
    """Tell how many seconds lie between two moments; None where one has not come yet."""
    if started_at is None or finished_at is None:
        return None
    return max(0.0, round(finished_at - started_at, 3))


def show_failure(code: str | None, message: str | None) -> Failure | None:
    """Show why something failed, with the register's remedy."""
    if code is None and message is None:
        return None
    entry = REGISTER.get(code or "")
    said = message or (entry.meaning if entry else "")
    return Failure(code=code or "", message=said, remedy=entry.remedy if entry else "")


def show_broker(state: BrokerState | None) -> BrokerAnswer | None:
    """Show the connection to the broker, where there is one."""
    if state is None:
        return None
    return BrokerAnswer(
        type=state.type,
        connected=state.connected,
        since=moment(state.since),
        reason=state.reason,
        refused=state.refused,
    )


def show_job_api(state: JobApiState | None) -> JobApiAnswer | None:
    """Show how the node stands with the API that it polls, where there is one."""
    if state is None:
        return None
    return JobApiAnswer(
        url=state.url,
        connected=state.connected,
        since=moment(state.since),
        code=state.code,
        reason=state.reason,
        unposted=state.unposted,
    )


def show_outbox(state: OutboxState | None) -> OutboxAnswer | None:
    """Show what is still to be said, where there is a broker."""
    return None if state is None else OutboxAnswer(waiting=dict(state.waiting), file_bytes=state.file_bytes)


def show_attempt(record: AttemptRecord) -> AttemptAnswer:
    """Show one run of a job."""
    usage = record.usage
    return AttemptAnswer(
        attempt=record.attempt,
        fence=record.fence,
        status=record.status,
        started_at=moment(record.started_at),
        finished_at=maybe_moment(record.finished_at),
        duration_s=duration(record.started_at, record.finished_at),
        exit_code=record.exit_code,
        signal=record.signal,
        error=show_failure(record.error_code, record.error),
        output=record.output,
        usage=UsageAnswer(
            cpu_s=usage.cpu_s,
            max_rss_bytes=usage.max_rss_bytes,
            stdout_bytes=usage.stdout_bytes,
            stderr_bytes=usage.stderr_bytes,
            dropped_bytes=usage.dropped_bytes,
            processes=list(usage.processes),
        ),
    )


def show_note(note: Note) -> NoteAnswer:
    """Show one notification."""
    return NoteAnswer(number=note.number, at=moment(note.at), msg=note.msg)


def summarise(record: JobRecord) -> JobSummary:
    """Show a job as a line of a list."""
    return JobSummary(
        task_id=record.task_id,
        event=record.event,
        status=record.status,
        attempt=record.attempt,
        exit_code=record.exit_code,
        created_at=moment(record.created_at),
        started_at=maybe_moment(record.started_at),
        finished_at=maybe_moment(record.finished_at),
        duration_s=duration(record.started_at, record.finished_at),
        error=show_failure(record.error_code, record.error),
    )


def show_job(record: JobRecord, log_bytes: int, notes: Sequence[Note]) -> JobAnswer:
    """Show all about one job."""
    return JobAnswer(
        **dict(summarise(record)),
        log_bytes=log_bytes,
        output=record.attempts[-1].output if record.attempts else None,
        attempts=[show_attempt(attempt) for attempt in record.attempts],
        notes=[show_note(note) for note in notes],
    )


def show_letter(letter: Letter) -> DeadAnswer:
    """Show a dead letter."""
    entry = REGISTER.get(letter.error_code)
    remedy = entry.remedy if entry else ""
    return DeadAnswer(
        task_id=letter.task_id,
        event=letter.event,
        attempts=letter.attempts,
        error=Failure(code=letter.error_code, message=letter.error, remedy=remedy),
        died_at=moment(letter.died_at) if letter.died_at else None,
        node=letter.node,
        data=json.loads(letter.body),
    )


def show_exec(state: ExecState) -> ExecAnswer:
    """Show one background command."""
    return ExecAnswer(
        key=state.key,
        name=state.name,
        state=state.state,
        pid=state.pid,
        attempts=state.attempts,
        exit_code=state.exit_code,
        since=moment(state.since),
        ready=state.ready,
        health=state.health,
        reason=state.reason,
    )


def show_settings(state: SettingsState) -> SettingsAnswer:
    """Show which settings are in force."""
    return SettingsAnswer(
        digest=state.digest, since=moment(state.since), faults=list(state.faults), pending=list(state.pending)
    )


def show_manager(state: ManagerState | None) -> ManagerAnswer | None:
    """Show how the node stands with its Job Manager, where there is one."""
    if state is None:
        return None
    return ManagerAnswer(
        url=state.url,
        answered_at=moment(state.answered_at),
        events=list(state.events),
        code=state.code or None,
        reason=state.failure or None,
    )


def show_update(state: ManagerState | None) -> UpdateAnswer | None:
    """Show the newer version that the Job Manager offers, if it does."""
    if state is None or state.offer is None:
        return None
    offer = state.offer
    return UpdateAnswer(
        number=offer.number, version=offer.version, link=offer.link, code="ERR-UPD-002", notice=offer.sentence
    )


def show_versions(marker: Marker, channel: str | None) -> VersionsAnswer | None:
    """Show what updates have brought, where they are on or there were any."""
    last = marker.last
    if last is None and channel is None:
        return None
    outcome = None
    if last is not None:
        outcome = OutcomeAnswer(version=last.version, result=last.result, reason=last.reason, at=moment(last.at))
    return VersionsAnswer(
        channel=channel,
        current=marker.current.version if marker.current else None,
        previous=marker.previous.version if marker.previous else None,
        on_trial=marker.is_on_trial,
        last=outcome,
    )


def show_report(report: ReloadReport, *, is_dry: bool) -> ReloadAnswer:
    """Show what a reload does."""
    return ReloadAnswer(
        digest=report.digest,
        changes=[ChangeAnswer(path=each.path, kind=each.kind, effect=each.effect) for each in report.changes],
        faults=list(report.faults),
        applied=not (is_dry or report.faults),
    )
