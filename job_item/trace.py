"""The trace context that comes with a job and goes on to its environment (W3C Trace Context, level 1).

It comes as the headers `traceparent` and `tracestate` of the request that makes the job, is kept with the job, and
reaches every attempt as `TRACEPARENT` and `TRACESTATE`.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

STATE_LIMIT = 512
"""Characters of a `tracestate` that are passed on; a longer one is left out (section 3.3.1.5 asks for 512 at least)."""

_PARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_STATE = re.compile(r"[\x20-\x7e]*")


class Trace(NamedTuple):
    """Which trace something belongs to; `parent` is a valid `traceparent` of version 00."""

    parent: str
    state: str = ""

    @property
    def trace_id(self) -> str:
        """The trace: 32 hexadecimal digits."""
        return self.parent[3:35]

    @property
    def span_id(self) -> str:
        """What in the trace is above: 16 hexadecimal digits."""
        return self.parent[36:52]

    @property
    def flags(self) -> str:
        """Two hexadecimal digits; the lowest bit says that the trace is recorded."""
        return self.parent[53:55]


def trace_of(parent: str, state: str = "") -> Trace | None:
    """Read what came with a request; None where it is not valid: then it is as good as not there (section 4.3).

    Of a version that is newer than 00 the part that 00 knows is used.
    """
    found = _PARENT.fullmatch(parent.strip())
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    state = state.strip()
    is_usable = len(state) <= STATE_LIMIT and _STATE.fullmatch(state)
    return Trace(f"00-{found['trace']}-{found['span']}-{found['flags']}", state if is_usable else "")


def keep(trace: Trace | None) -> str | None:
    """The form in which a trace is kept with its job."""
    return None if trace is None else f"{trace.parent} {trace.state}".rstrip()


def kept(text: str | None) -> Trace | None:
    """Read the form that `keep` made."""
    return None if text is None else Trace(*text.split(" ", 1))


def variables(trace: Trace | None) -> dict[str, str]:
    """What a job is told of its trace."""
    if trace is None:
        return {}
    state = {"TRACESTATE": trace.state} if trace.state else {}
    return {"TRACEPARENT": trace.parent, **state}


def job_span_id(task_id: str) -> str:
    """The id of the span of a job: always the same for the same job, whichever process works it out."""
    digest = hashlib.sha256(b"span " + task_id.encode()).hexdigest()[:16]
    return digest if digest.strip("0") else "1" * 16


def of_job(task_id: str, caller: Trace | None) -> Trace:
    """The context in which a job runs where its span is recorded: below its own span, in its caller's trace if any."""
    if caller is not None:
        return Trace(f"00-{caller.trace_id}-{job_span_id(task_id)}-{caller.flags}", caller.state)
    trace_id = hashlib.sha256(b"trace " + task_id.encode()).hexdigest()[:32]
    return Trace(f"00-{trace_id}-{job_span_id(task_id)}-01")
