"""What people see of jobs, background commands and the node, made of the records of the local API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.show import pairs, table, word
from supervisor.wording import age_s, duration, harmless, moment, size

Record = Mapping[str, Any]


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
                duration(attempt["usage"]["cpu_s"]),
                size(attempt["usage"]["max_rss_bytes"]),
                size(attempt["usage"]["stdout_bytes"] + attempt["usage"]["stderr_bytes"]),
            )
            for attempt in attempts
        ],
    )


def exec_table(execs: Sequence[Record]) -> Table:
    """Background commands as lines."""
    names = ("key", "name", "state", "pid", "tries", "exit", "since")
    return table(
        names,
        [
            (
                each["key"],
                each["name"],
                word(each["state"]),
                number(each["pid"]),
                str(each["attempts"]),
                number(each["exit_code"]),
                moment(each["since"]),
            )
            for each in execs
        ],
    )


def node_view(node: Record) -> RenderableType:
    """The node at a glance."""
    state = (
        word("ready") if node["ready"] else Text(harmless(f"not ready: {'; '.join(node['reasons'])}"), style="yellow")
    )
    rooms = (("supervisor", node["supervisor"]), ("worker", node["worker"]), ("execs", node["execs"]))
    running, queued = node["counts"]["running"], node["counts"]["queued"]
    parts: list[RenderableType] = [
        pairs(
            {
                "node": f"{node['identity']} (job_item {node['version']})",
                "state": state,
                "up for": duration(node["uptime_s"]),
                "api": node["url"],
                "processes": ", ".join(f"{room} {process['pid'] or '-'}" for room, process in rooms),
                "slots": f"{running} of {node['slots'] or '?'} in use",
                "queued": str(queued),
            }
        )
    ]
    if node["commands"]:
        parts += ["", exec_table(node["commands"])]
    if node["jobs"]:
        parts += ["", job_table(node["jobs"])]
    return Group(*parts)


def took(run: Record) -> str:
    """How long a job or an attempt took, or has taken so far."""
    if run["started_at"] and not run["finished_at"]:
        return duration(age_s(run["started_at"]))
    return duration(run["duration_s"])


def number(value: int | None) -> str:
    """A number that may be missing."""
    return "" if value is None else str(value)
