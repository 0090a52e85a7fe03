"""What to do about what the API shows: who keeps a job, when to give it up, what became of a result. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from worker.reefguide.wire import Answer, JobView, Seen

OVER = ("SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT")


def keeps_claim(view: JobView, number: int) -> bool:
    """Whether the holder of assignment `number` runs the job: of open assignments the lowest wins (14, row 3).

    It does not where the job has come to an end by another assignment meanwhile.
    """
    if view.status in OVER and any(not seen.is_open for seen in view.assignments):
        return False
    open_ones = [seen.id for seen in view.assignments if seen.is_open]
    return bool(open_ones) and open_ones[0] == number


def find_own(view: JobView, claimant: str, known: frozenset[int]) -> Seen | None:
    """The open assignment that was made for `claimant` and is not among those `known` to this node."""
    mine = (seen for seen in view.assignments if seen.claimant == claimant and seen.id not in known)
    return next((seen for seen in mine if seen.is_open), None)


def why_end(view: JobView | None, number: int, on_timed_out: Literal["finish", "cancel"]) -> str | None:
    """Why a job that runs here is to be ended, in words; None where it is to go on (row 10).

    A job that the server's hourly clean-up has timed out goes on by default: its success is still taken, and
    a four hours' run is timed out half-way by design (section 6).
    """
    if view is None:
        return "the API does not know the job any more"
    own = view.assignment(number)
    if own is not None and not own.is_open:
        return "somebody else has reported its result"
    if view.status in ("SUCCEEDED", "FAILED", "CANCELLED"):
        return f"it is {view.status} at the API"
    if view.status == "TIMED_OUT" and on_timed_out == "cancel":
        return "it is TIMED_OUT at the API"
    return None


def may_post_failure(view: JobView | None) -> bool:
    """Whether a failure may be posted: never over a final state, never over the success of another (rows 3, 10)."""
    return view is not None and view.status not in OVER


class Delivery(Enum):
    """What became of a result that was posted."""

    DONE = "done"
    ASK = "ask"
    """It may have been taken: the job shows it."""
    MISFIT = "misfit"
    """The payload is never taken."""
    REFUSED = "refused"
    """Nothing that is posted for this assignment is ever taken."""
    AGAIN = "again"


def judge_delivery(answer: Answer) -> Delivery:
    """Decide by the answer to a posted result (section 5.3, and row 1 of section 14)."""
    match answer.status, answer.message:
        case 200, _ if not answer.body:
            return Delivery.DONE
        case status, _ if 200 <= status < 300:
            return Delivery.ASK  # the API answers with nothing; a page may come from something between
        case 400, "Assignment already completed!":
            return Delivery.ASK
        case 400, message if message.startswith("Invalid result payload"):
            return Delivery.MISFIT
        case 413, _:
            return Delivery.MISFIT
        case 400, _ if isinstance(answer.json(), list):
            return Delivery.REFUSED
        case 404, "Assignment not found":
            return Delivery.REFUSED
        case status, _ if status >= 500:
            return Delivery.ASK
    return Delivery.AGAIN
