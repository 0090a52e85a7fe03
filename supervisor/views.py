"""What people see of jobs and background commands, made of the records of the local API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.show import pairs, table, word
from supervisor.wording import age_s, duration, harmless, moment, size

Record = Mapping[str, Any]
RETURNED_LENGTH = 1000

_EFFECTS: Mapping[str, str] = MappingProxyType(
    {
        "in place": "in force at once, nothing restarts",
        "restarts the exec": "restarts the exec",
        "restarts the execs that see it": "restarts the execs that see it in their environment",
        "restarts the job child": "restarts the job child after a drain",
        "restarts the execs child": "restarts the execs child and all execs",
    }
)


def job_table(jobs: Sequence[Record]) -> Table:
    """Jobs as lines."""
    names = ("task", "event", "status", "try", "created", "took")
    return table(
        names,
        [
            (
                job["task_id"],
                job["event"],
                word(job["status"], job["exit_code"] or None),
                str(job["attempt"] or ""),
                moment(job["created_at"]),
                took(job),
            )
            for job in jobs
        ],
    )


def dead_table(dead: Sequence[Record]) -> Table:
    """Dead letters as lines."""
    names = ("task", "event", "tries", "died", "why")
    return table(
        names,
        [
            (
                letter["task_id"],
                letter["event"],
                str(letter["attempts"] or ""),
                moment(letter["died_at"]),
                f"{letter['error']['code']}: {letter['error']['message']}",
            )
            for letter in dead
        ],
    )


def job_view(job: Record) -> RenderableType:
    """All about one job."""
    facts: dict[str, str | Text] = {
        "task": job["task_id"],
        "event": job["event"],
        "status": word(job["status"]),
        "attempt": number(job["attempt"]),
        "created": moment(job["created_at"]),
        "started": moment(job["started_at"]),
        "finished": moment(job["finished_at"]),
        "took": took(job),
        "exit code": number(job["exit_code"]),
        "output": size(job["log_bytes"]),
        **({"returned": returned(job["output"])} if job.get("output") is not None else {}),
    }
    if job["error"]:
        facts |= {"error": f"{job['error']['message']} [{job['error']['code']}]", "what to do": job["error"]["remedy"]}
    parts: list[RenderableType] = [pairs(facts)]
    if job["attempts"]:
        parts += ["", attempt_table(job["attempts"])]
        parts += [Text(harmless(line), style="dim") for line in job["attempts"][-1]["usage"]["processes"]]
    if job["notes"]:
        parts += ["", table(("at", "note"), [(moment(note["at"]), note["msg"]) for note in job["notes"]])]
    return Group(*parts)


def attempt_table(attempts: Sequence[Record]) -> Table:
    """The runs of a job, with what each used."""
    names = ("try", "status", "started", "took", "exit", "signal", "cpu", "memory", "output")
    return table(
        names,
        [
            (
                str(attempt["attempt"]),
                word(attempt["status"] or "running"),
                moment(attempt["started_at"]),
                took(attempt),
                number(attempt["exit_code"]),
                number(attempt["signal"]),
                *used(attempt["usage"]),
            )
            for attempt in attempts
        ],
    )


def used(usage: Record) -> tuple[str, str, str]:
    """Processor time, memory and output of a run; empty where nobody has measured them, as it runs or was lost."""
    if not usage["max_rss_bytes"]:
        return "", "", ""
    written = usage["stdout_bytes"] + usage["stderr_bytes"]
    return duration(usage["cpu_s"]), size(usage["max_rss_bytes"]), size(written)


def returned(output: object) -> str:
    """What a handler returned, as JSON; of much only the beginning."""
    text = json.dumps(output, ensure_ascii=False)
    return text if len(text) <= RETURNED_LENGTH else f"{text[:RETURNED_LENGTH]}... (all of it with --json)"


def exec_table(execs: Sequence[Record]) -> Table:
    """Background commands as lines; names only where they say more than the keys."""
    with_names = any(each["name"] not in ("", each["key"]) for each in execs)
    return table(
        ("key", *(("name",) if with_names else ()), "state", "ready", "pid", "tries", "for", "reason"),
        [
            (
                each["key"],
                *((each["name"],) if with_names else ()),
                word(each["state"]),
                condition(each),
                number(each["pid"]),
                str(each["attempts"]),
                duration(age_s(each["since"])),
                each["reason"] or "",
            )
            for each in execs
        ],
    )


def condition(each: Record) -> Text:
    """Whether an exec that runs is ready and healthy."""
    if each["state"] not in ("starting", "running"):
        return Text()
    ready = word("ready") if each["ready"] else Text("not ready", style="yellow")
    return Text(", ").join((ready, word(each["health"]))) if each["health"] else ready


def plan_table(changes: Sequence[Record]) -> Table:
    """What a reload changes, and what each change does."""
    rows = [(each["path"], each["kind"], Text(_EFFECTS.get(each["effect"], each["effect"]))) for each in changes]
    return table(("setting", "change", "what it does"), rows)


def took(run: Record) -> str:
    """How long a job or an attempt took, or has taken so far."""
    if run["started_at"] and not run["finished_at"]:
        return duration(age_s(run["started_at"]))
    return duration(run["duration_s"])


def number(value: int | None) -> str:
    """A number that may be missing."""
    return "" if value is None else str(value)
