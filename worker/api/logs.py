"""The output of a job: as bytes, or followed live."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from worker.api.answers import EVENTS, documented
from worker.api.excerpt import Excerpt, ExcerptAnswer, Stream, choose, cut
from worker.api.faults import Refusal
from worker.api.feed import Feed, Position, parse_position
from worker.api.follow import FollowAnswer
from worker.api.jobs import TaskId, find
from worker.api.site import site_of

LARGEST = 1 << 53

router = APIRouter(tags=["output"])

RAW = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENTED = documented(404, 416) | {
    200: {"description": "The output, or its events.", "content": {"text/plain": RAW, "text/event-stream": EVENTS}},
    206: {"description": "The range of the output that was asked for.", "content": {"text/plain": RAW}},
}


@router.get("/jobs/{task_id}/log", summary="Read or follow the output", response_class=Response, responses=_DOCUMENTED)
async def read_log(
    request: Request,
    task_id: TaskId,
    stream: Annotated[Stream, Query(description="Of which stream.")] = "both",
    attempt: Annotated[int | None, Query(ge=1, le=LARGEST, description="Of which attempt; else the last one.")] = None,
    offset: Annotated[int | None, Query(ge=0, le=LARGEST, description="From which byte on.")] = None,
    limit: Annotated[int | None, Query(ge=0, le=LARGEST, description="How many bytes at most.")] = None,
    tail: Annotated[int | None, Query(ge=0, le=LARGEST, description="Of these only the last bytes.")] = None,
    follow: Annotated[bool, Query(description="Send events as they come.")] = False,
) -> Response:
    """Read the bytes that a job wrote, both streams in order of arrival, or follow them.

    Bytes: positions (`offset`, `limit`, `tail`, the header `Range`) count the bytes of the chosen stream. The header
    `X-Job-Item-Attempt` names the attempt.

    Events (`follow=1`): `output` with `attempt`, `offset`, `stream` and either `text` or, where the bytes are not
    UTF-8, `base64`; `status`; `note`; `gap` with the number of `bytes` beyond the job's limit; at last `end` with
    `status`, `exit_code`, `signal` and `error`. The `id` of an event is the position reached in the output of both
    streams; give it back as `Last-Event-ID` (or `offset`) to go on without loss or repetition. Without `attempt` the
    events go on into the next attempt.
    """
    site = site_of(request)
    record = find(site.desk, task_id)
    log = site.desk.log(task_id, attempt or record.attempt)
    if log is None and attempt is not None:
        raise Refusal(404, "ERR-API-009")
    if follow:
        start = cut(log.size() if log else 0, offset, None, tail).start
        position = last_position(request, attempt) or Position(attempt or max(record.attempt, 1), start)
        feed = Feed(site.desk, task_id, position, stream, only_attempt=attempt is not None)
        return FollowAnswer(site, site.desk.watch(task_id), feed.pieces())
    excerpt = Excerpt(log, stream)
    await excerpt.measure()
    whole = cut(excerpt.size, offset, limit, tail)
    part = choose(request.headers.get("range"), whole.size)
    return ExcerptAnswer(excerpt, whole, part, attempt=attempt or record.attempt)


def last_position(request: Request, attempt: int | None) -> Position | None:
    """Read the position that a client has reached before it lost its connection; None where it is a new client."""
    text = request.headers.get("last-event-id")
    if not text:
        return None
    position = parse_position(text, attempt or 1)
    if position is None or attempt not in (None, position.attempt):
        raise Refusal(400, "ERR-API-007", "The header Last-Event-ID is none that this stream has sent.")
    return position
