"""Fill in what docs/api.md says of routes and limits, from the API's own description and from the code."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from tools.marks import put_between
from worker import shelves
from worker.api import connection, follow, guard, messages, server, share
from worker.api.app import build
from worker.journal.operations import NOTES_KEPT

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

KIB = 1024


def routes() -> str:
    """The Markdown table of all routes, in the order of the description."""
    found: list[tuple[str, str, str, str]] = []
    for path, operations in build().openapi()["paths"].items():
        for method, operation in operations.items():
            found.append((operation["tags"][0], method.upper(), path, says(operation)))
    lines = ["| request | does |", "|---|---|"]
    for tag, entries in groupby(found, key=lambda entry: entry[0]):
        lines.append(f"| **{tag}** | |")
        lines += [f"| `{method} {path}` | {summary} |" for _, method, path, summary in entries]
    return "\n".join(lines)


def says(operation: dict[str, Any]) -> str:
    """What an operation does, with the names of its query parameters."""
    names = [f"`{parameter['name']}`" for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
    return f"{operation['summary']}: {', '.join(names)}" if names else str(operation["summary"])


def limits() -> str:
    """The Markdown table of all limits."""
    hours = shelves.LINGER_S / 3600
    rows = [
        ("head of a request", f"{connection.HEAD_LIMIT_BYTES // KIB} KiB", "431"),
        ("body of a request", f"{guard.BODY_LIMIT_BYTES // KIB} KiB", "413"),
        ("time for a request to come in", f"{connection.REQUEST_TIMEOUT_S:g} s", "408"),
        ("connections at once", f"{connection.CONNECTIONS}", "503"),
        ("a kept connection that is idle", f"{server.KEEP_ALIVE_S} s", "closed"),
        ("a notification", f"{messages.MSG_LIMIT_BYTES} bytes of UTF-8, at least one", "400"),
        ("notifications kept of a job", f"the last {NOTES_KEPT}", ""),
        ("share data of a task", f"{shelves.TASK_BYTES // KIB} KiB in {shelves.TASK_ENTRIES} entries", "400"),
        ("share data of all tasks", f"{shelves.NODE_BYTES // KIB} KiB in {shelves.NODE_ENTRIES} entries", "503"),
        ("`ttl_seconds`", f"{share.TTL_LIMIT_S:.0f}", "400"),
        ("share data after the end of their task", f"{hours:g} to {2 * hours:g} h", "gone"),
        ("silence of a stream", f"{follow.HEARTBEAT_S:g} s, then a comment line comes", ""),
    ]
    return "\n".join(["| limit | | beyond it |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)])


def fill_in(text: str) -> str:
    """The page with its tables as they are now."""
    return put_between(text, {"routes": routes(), "limits": limits()})


if __name__ == "__main__":
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
