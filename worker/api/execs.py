"""Background commands: list, look at, order about, read and follow their output.

A key may hold any character; in a path it stands percent-encoded, `/` as `%2F` (`worker.api.segments`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response

from job_item.link import ExecState
from job_item.orders import Verb
from worker.api.answers import EVENTS, documented
from worker.api.execfeed import ExecFeed, KeptAnswer, last_lines
from worker.api.faults import Refusal, order_refused
from worker.api.follow import FollowAnswer
from worker.api.logs import LARGEST, RAW
from worker.api.models import ExecAnswer, ExecList
from worker.api.segments import with_slashes
from worker.api.show import show_exec
from worker.api.site import Site, desk_of, site_of
from worker.desk import Desk, Watch
from worker.execlog import Place, Tail, parse_place

_NAMED = 20

CARRIED_OUT_LIMIT_S = 10.0
"""How long an order that was accepted may take to show, before the state is told as it is."""

router = APIRouter(tags=["execs"])

ExecKey = Annotated[
    str, Path(description="The key of an exec, percent-encoded (`/` as `%2F`)."), AfterValidator(with_slashes)
]

_LOG = documented(404) | {
    200: {"description": "The output, or its events.", "content": {"text/plain": RAW, "text/event-stream": EVENTS}}
}


@router.get("/execs", summary="List execs", responses=documented())
async def list_execs(request: Request) -> ExecList:
    """List the background commands of this node with their states."""
    return ExecList(execs=[show_exec(state) for state in desk_of(request).execs()])


@router.get("/execs/{key}/log", summary="Read or follow an exec's output", response_class=Response, responses=_LOG)
async def read_log(
    request: Request,
    key: ExecKey,
    lines: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only the last lines.")] = None,
    tail: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only the last bytes.")] = None,
    follow: Annotated[bool, Query(description="Send events as they come.")] = False,
) -> Response:
    """Read the bytes that an exec wrote, both streams in order of arrival, older files that are kept included; or
    follow them.

    Events (`follow=1`): `output` with `text` or, where the bytes are not UTF-8, `base64`; `state` with the exec as
    `GET /execs/{key}` shows it, at first and whenever it changes; `gap` where output was removed before it could be
    sent; `end` when there is no such exec any more. They go on over rotations of the log and restarts of the exec. Give
    the last `id` back as `Last-Event-ID` to go on without loss or repetition.
    """
    site = site_of(request)
    find(site.desk, key)
    kept = site.desk.exec_log(key)
    try:
        reached = last_place(request) if follow else None
        if reached is not None:
            return followed(site, key, kept.resume(reached))
        start = max(0, kept.size() - tail) if tail is not None else 0
        if lines is not None:
            start = max(start, await last_lines(kept, lines))
        return followed(site, key, kept.tail(start)) if follow else KeptAnswer(kept, start)
    except BaseException:
        kept.close()
        raise


@router.get("/execs/{key}", summary="Look at an exec", responses=documented(404))
async def look(request: Request, key: ExecKey) -> ExecAnswer:
    """Show one background command."""
    return show_exec(find(desk_of(request), key))


_ORDERED = documented(404, 409)


@router.post("/execs/{key}/start", summary="Start an exec", responses=_ORDERED)
async def start(request: Request, key: ExecKey) -> ExecAnswer:
    """Start a background command that is down, with its tries counted from the beginning; as `restart`."""
    return await _order(request, key, "start")


@router.post("/execs/{key}/stop", summary="Stop an exec", responses=_ORDERED)
async def stop(request: Request, key: ExecKey) -> ExecAnswer:
    """Stop a background command until it is started again; as `restart`."""
    return await _order(request, key, "stop")


@router.post("/execs/{key}/restart", summary="Restart an exec", responses=_ORDERED)
async def restart(request: Request, key: ExecKey) -> ExecAnswer:
    """Restart a background command, and show its state when that is done, or after 10 s (it may take its time to end).

    Where the order makes no sense (an exec that runs is to be started) the answer is 409 with the reason.
    """
    return await _order(request, key, "restart")


async def _order(request: Request, key: str, verb: Verb) -> ExecAnswer:
    site = site_of(request)
    before = find(site.desk, key)
    with site.desk.watch_exec(key) as watch:
        refusal = await site.desk.order_exec(key, verb)
        if refusal is not None:
            find(site.desk, key)
            raise order_refused(refusal)
        with suppress(TimeoutError):
            async with asyncio.timeout(CARRIED_OUT_LIMIT_S):
                while not is_carried_out(verb, before, find(site.desk, key)):
                    await watch.changed()
    return show_exec(find(site.desk, key))


def is_carried_out(verb: Verb, before: ExecState, now: ExecState) -> bool:
    """Tell whether an order that was accepted shows in the state of its exec: pure."""
    is_new = (now.since, now.state) != (before.since, before.state)
    if verb == "stop":
        return now.pid is None and now.state in ("stopped", "failed")
    if now.pid is not None:
        return now.pid != before.pid
    return is_new and now.state != "starting"


def find(desk: Desk, key: str) -> ExecState:
    """Find an exec. Raises `Refusal` that names those that are there."""
    states = desk.execs()
    found = next((state for state in states if state.key == key), None)
    if found is None:
        keys = ", ".join(repr(state.key) for state in states[:_NAMED])
        raise Refusal(404, "ERR-EXE-011", f"There is no exec {key!r} on this node; there are: {keys or 'none'}.")
    return found


def last_place(request: Request) -> Place | None:
    """Read the place that a client had reached before it lost its connection; None where it is a new client."""
    text = request.headers.get("last-event-id")
    if not text:
        return None
    place = parse_place(text)
    if place is None:
        raise Refusal(400, "ERR-API-007", "The header Last-Event-ID is none that this stream has sent.")
    return place


def followed(site: Site, key: str, tail: Tail) -> FollowAnswer:
    """Answer with the events of an exec from where `tail` stands."""

    @contextmanager
    def watching() -> Iterator[Watch]:
        with closing(tail), site.desk.watch_exec(key) as watch:
            yield watch

    return FollowAnswer(site, watching(), ExecFeed(site.desk, key, tail).pieces())
