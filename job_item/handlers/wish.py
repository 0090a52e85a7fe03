"""What the job child asks of a hand, and what it hears of it: the words on the line between them (`parcel`)."""

from __future__ import annotations

from typing import Any, NamedTuple


class Wish(NamedTuple):
    """One job as the job child sends it."""

    task_id: str
    type: str
    attempt: int
    fence: int
    duty: str
    body: bytes
    spool: str
    output_limit: int
    timeout_s: float | None
    facts: dict[str, Any] | None
    variables: dict[str, str] | None
    """What its environment has besides what every job gets: the trace."""
    jobs_limit: int
    """After so many jobs the hand is to be replaced."""
    memory_limit: int
    """And when it holds more bytes than this after a job."""


class Result(NamedTuple):
    """What became of it. With a `code` it has failed; `is_final` says that another attempt would fail too."""

    kind: str
    task_id: str
    output: bytes | None = None
    code: str | None = None
    error: str | None = None
    is_final: bool = False
    run_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    written: tuple[int, ...] | None = None
    """Where it wrote anything: bytes of standard output, of standard error, dropped, refused (`hold.CUT`)."""
    is_last: bool = False
    """The hand ends now; whoever wants another gets another."""


RESULT, NOTE = "result", "note"
"""The kinds of messages of a hand; a note is followed by task id and text."""
