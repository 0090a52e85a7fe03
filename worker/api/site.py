"""What one server lends to each request that it takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request

from worker.desk import Desk


@dataclass(frozen=True, slots=True)
class Site:
    """One served node: its desk, what a request must show, and when to end.

    `hosts` are the names and addresses under which the node may be asked, None where it listens on every address and
    so cannot know them; `token` is None where none is needed; `closing` is done as soon as streams have to end.
    """

    desk: Desk
    hosts: frozenset[str] | None
    token: bytes | None
    closing: asyncio.Future[None]


def site_of(request: Request) -> Site:
    """Find the site that a request came to."""
    site: Site = request.scope["state"]["site"]
    return site


def desk_of(request: Request) -> Desk:
    """Find the desk that answers a request."""
    return site_of(request).desk
