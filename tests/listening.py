"""A client that follows a log by server-sent events."""

from __future__ import annotations

import base64
import json
from http.client import HTTPResponse
from typing import Any

from tests.desks import Served


class Listener:
    """Follows a path and parses the events as they come."""

    def __init__(self, served: Served, path: str, last_event_id: str | None = None) -> None:
        self.connection = served.connect()
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        self.connection.request("GET", path, headers=headers)
        self.response: HTTPResponse = self.connection.getresponse()
        self.last_id = ""

    def next(self) -> tuple[str, dict[str, Any]] | None:
        """Wait for the next event; None at the end of the stream."""
        name = ""
        while line := self.response.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        return None

    def until(self, name: str) -> dict[str, Any]:
        """Wait for the next event of a name."""
        while event := self.next():
            if event[0] == name:
                return event[1]
        raise AssertionError(f"no {name} before the end")

    def gather(self, size_bytes: int) -> bytes:
        """Wait for so many bytes of output."""
        taken = b""
        while len(taken) < size_bytes and (event := self.next()):
            if event[0] == "output":
                taken += content(event[1])
        return taken

    def close(self) -> None:
        """Hang up."""
        self.response.close()
        self.connection.close()


def content(said: dict[str, Any]) -> bytes:
    """The bytes of an event of output."""
    return said["text"].encode() if "text" in said else base64.b64decode(said["base64"])
