"""Server-sent events over HTTP: waits for news of a job or exec and sends them at the client's pace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from worker.api.site import Site
from worker.desk import Watch

HEARTBEAT_S = 15.0
"""A silent stream shows that it lives, so that neither side waits for a dead one."""


class FollowAnswer(Response):
    """Sends events until there are no more, the client is gone or the server stops.

    `watching` tells of news for as long as it is entered; `pieces` are events of bounded size and effort, None where
    news has to be waited for. Nothing is kept for a slow client: what it has not taken stays on disk.
    """

    media_type = "text/event-stream"

    def __init__(self, site: Site, watching: AbstractContextManager[Watch], pieces: Iterable[bytes | None]) -> None:
        super().__init__(None, headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._site = site
        self._watching = watching
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - given by ASGI
        """Send the answer (ASGI)."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.ensure_future(wait_until_gone(receive))
        try:
            await self._send_pieces(send, gone)
        finally:
            gone.cancel()
        await send({"type": "http.response.body"})

    async def _send_pieces(self, send: Send, gone: asyncio.Future[None]) -> None:
        closing = self._site.closing
        with self._watching as watch:
            news: asyncio.Future[None] = asyncio.ensure_future(watch.changed())
            try:
                for piece in self._pieces:
                    if piece is None:
                        news = await self._wait(watch, news, gone, send)
                    else:
                        if piece:
                            await send({"type": "http.response.body", "body": piece, "more_body": True})
                        await asyncio.sleep(0)
                    if gone.done() or closing.done():
                        return
            finally:
                news.cancel()

    async def _wait(
        self, watch: Watch, news: asyncio.Future[None], gone: asyncio.Future[None], send: Send
    ) -> asyncio.Future[None]:
        ends = {news, gone, self._site.closing}
        while not (await asyncio.wait(ends, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        return asyncio.ensure_future(watch.changed()) if news.done() else news


async def wait_until_gone(receive: Receive) -> None:
    """Return when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
