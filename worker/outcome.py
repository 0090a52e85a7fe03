"""From what a command did to the status that is reported: pure rules (protocol job-item.md, 4.5 and 9.1, L1)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from job_item.job import Status, Usage

Rule = Literal["exit_code", "stderr", "strict"]


class Outcome(NamedTuple):
    """How one attempt ended, whoever ran it.

    `end` says who ended it: the command itself (`exit`), a handler that went wrong (`raised`), its time-out, a request
    (`terminate`), the death of the process that ran it (`lost`), or it could not be run (`failed`). With `raised` and
    `failed` come `error_code` and `error`. A time-out that somebody asked for says so in `error`. `may_pass` says of
    `failed` that it was for want of something that may be there later: such an attempt is tried again as `retries`
    says.
    """

    end: Literal["exit", "raised", "timeout", "terminate", "lost", "failed"]
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage = Usage()
    error_code: str | None = None
    error: str | None = None
    may_pass: bool = False
    output: bytes | None = None
    """What a handler returned, as JSON."""
    run_s: float | None = None
    """How long a handler took, by its own clock."""


class Verdict(NamedTuple):
    """The status word, and the code and sentence where it is not `finish`."""

    status: Status
    error_code: str | None = None
    error: str | None = None


def judge(outcome: Outcome, rule: Rule) -> Verdict:
    """Decide the status. `rule` is the job's `status`: exit code (default), any stderr output, or either."""
    match outcome.end:
        case "timeout":
            return Verdict(Status.TIMEOUT, "ERR-RUN-007", outcome.error or "The job ran longer than its timeout.")
        case "terminate":
            return Verdict(Status.TERMINATE, "ERR-RUN-008", "The job was ended on request.")
        case "lost":
            return Verdict(Status.ERROR, "ERR-RUN-009", "The process that watched over the job died.")
        case "failed" | "raised":
            return Verdict(Status.ERROR, outcome.error_code, outcome.error)
        case "exit":
            return _judge_exit(outcome, rule)


def _judge_exit(outcome: Outcome, rule: Rule) -> Verdict:
    if rule in ("stderr", "strict") and outcome.usage.stderr_bytes:
        return Verdict(Status.ERROR, "ERR-RUN-010", "The command wrote to its standard error.")
    if rule == "stderr":
        return Verdict(Status.FINISH)
    if outcome.signal is not None:
        return Verdict(Status.ERROR, "ERR-RUN-011", f"The command was killed by signal {outcome.signal}.")
    if outcome.exit_code:
        return Verdict(Status.ERROR, "ERR-RUN-001", f"The command ended with exit code {outcome.exit_code}.")
    return Verdict(Status.FINISH)
