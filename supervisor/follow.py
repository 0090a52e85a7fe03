"""Following a job: its events from the local API, joined together over lost connections.

The events are those of `GET /jobs/{task_id}/log?follow=1`: `output`, `status`, `note`, `gap`, at last `end`. The id of
an event is the position reached in the output, so nothing is lost or shown twice when a connection ends in between.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

from job_item.errors import NodeError, Unavailable
from supervisor.client import Client, log_path
from supervisor.sse import EventParser

FROM_THE_BEGINNING = "1:0"
"""The position before the first byte of the first attempt."""

BEHIND_ALL = str(1 << 53)
"""A position behind all output of the first attempt, for those who wait for the end only."""

_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class News:
    """One event of a job: its name, and what it says."""

    name: str
    says: dict[str, Any]

    @property
    def output(self) -> bytes:
        """The bytes of an `output` event."""
        if "base64" in self.says:
            return base64.b64decode(self.says["base64"])
        return str(self.says["text"]).encode()


def follow_job(
    client: Client, task_id: str, *, position: str | None = None, attempt: int | None = None
) -> Iterator[News]:
    """Give the news of a job as it comes, until its `end`.

    `position` is where to begin, else at the beginning of the newest attempt; `attempt` follows only that one. A lost
    connection is made again; a note is given once. Raises `Unavailable` when nothing can be had for the client's
    patience, and as `Client.ask`.
    """
    last_note = 0
    lost_at: float | None = None
    while lost_at is None or time.monotonic() - lost_at < client.patience_s:
        try:
            for news, reached in _connect(client, task_id, position, attempt):
                lost_at, position = None, reached or position
                if news.name != "note" or news.says["number"] > last_note:
                    last_note = news.says.get("number", last_note)
                    yield news
                if news.name == "end":
                    return
        except Unavailable:
            if lost_at is None:  # there never was a connection
                raise
        lost_at = lost_at or time.monotonic()
        time.sleep(_PAUSE_S)
    raise Unavailable("ERR-SUP-051", f"The node says nothing more about job {task_id}.")


def _connect(client: Client, task_id: str, position: str | None, attempt: int | None) -> Iterator[tuple[News, str]]:
    """Give the news of one connection, each with the position reached; ends when the connection does."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": position} if position else {})
    params = {"follow": 1, "attempt": attempt}
    parser = EventParser()
    with client.ask("GET", log_path(task_id), params=params, headers=headers) as response:
        for chunk in _chunks(response):
            for event in parser.feed(chunk):
                try:
                    yield News(event.name, json.loads(event.data)), event.id
                except ValueError as error:
                    raise NodeError("ERR-SUP-052", f"The node says of job {task_id} what is no JSON.") from error


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(None)
    except requests.RequestException:
        return
