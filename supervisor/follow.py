"""Following a job or an exec: its events from the local API, joined together over lost connections.

The events of a job are those of `GET /jobs/{task_id}/log?follow=1`: `output`, `status`, `note`, `gap`, at last `end`;
those of an exec (`GET /execs/{key}/log?follow=1`) have `state` in place of `status` and `note`. The id of an event is
the position reached in the output, so nothing is lost or shown twice when a connection ends in between.
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
from supervisor.client import Client, Params, exec_path, log_path
from supervisor.sse import EventParser

FROM_THE_BEGINNING = "1:0"
"""The position before the first byte of the first attempt."""

BEHIND_ALL = str(1 << 53)
"""A position behind all output of the first attempt, for those who wait for the end only."""

_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class News:
    """One event: its name, and what it says."""

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
    asked = _Asked(log_path(task_id), {"follow": 1, "attempt": attempt}, f"job {task_id}")
    for news in _follow(client, asked, position):
        if news.name != "note" or news.says["number"] > last_note:
            last_note = news.says.get("number", last_note)
            yield news


def follow_exec(client: Client, key: str, *, lines: int | None = None) -> Iterator[News]:
    """Give the output and the states of an exec as they come, until its `end`: when it is configured no more.

    `lines`: begin with so many of its last lines, else with all that is kept. Raises as `follow_job`.
    """
    return _follow(client, _Asked(f"{exec_path(key)}/log", {"follow": 1, "lines": lines}, f"exec {key!r}"), None)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is followed: its path and parameters, and its name in a sentence."""

    path: str
    params: Params
    name: str


def _follow(client: Client, asked: _Asked, position: str | None) -> Iterator[News]:
    """Give the news of one connection after the other, until `end`."""
    lost_at: float | None = None
    while lost_at is None or time.monotonic() - lost_at < client.patience_s:
        try:
            for news, reached in _connect(client, asked, position):
                lost_at, position = None, reached or position
                yield news
                if news.name == "end":
                    return
        except Unavailable:
            if lost_at is None:  # there never was a connection
                raise
        lost_at = lost_at or time.monotonic()
        time.sleep(_PAUSE_S)
    raise Unavailable("ERR-SUP-051", f"The node says nothing more about {asked.name}.")


def _connect(client: Client, asked: _Asked, position: str | None) -> Iterator[tuple[News, str]]:
    """Give the news of one connection, each with the position reached; ends when the connection does."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": position} if position else {})
    parser = EventParser()
    with client.ask("GET", asked.path, params=asked.params, headers=headers) as response:
        for chunk in _chunks(response):
            for event in parser.feed(chunk):
                try:
                    yield News(event.name, json.loads(event.data)), event.id
                except ValueError as error:
                    raise NodeError("ERR-SUP-052", f"The node says of {asked.name} what is no JSON.") from error


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(None)
    except requests.RequestException:
        return
