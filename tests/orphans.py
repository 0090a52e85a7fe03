"""Commands that try to leave processes behind, and a look at what is left. Each process of theirs carries a mark."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path

HOPPER = """
import os, sys, time
end = time.monotonic() + 120
os.setsid()
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
"""
"""Forks and ends without pause: it is never the same process that is looked at. It ends by itself after two
minutes, later than any test waits for its end."""

SHAPES = {
    "plain": "sleep {mark} &",
    "own session": "setsid sleep {mark} &",
    "double fork": "(setsid sh -c 'sleep {mark} & sleep {mark} &' &)",
    "empty environment": "(env -i setsid sh -c 'sleep {mark} &' &)",
    "self-forking": sys.executable + " -I -S -c '" + HOPPER + "' {mark} &",
}


def new_mark() -> str:
    """A word that no other process has on its command line; `sleep` takes it as ten minutes."""
    return f"600.{random.randrange(10**12):012d}"


def processes_with(mark: str) -> list[int]:
    """The pids of all processes that have `mark` anywhere on their command line (zombies have none)."""
    return [pid for pid, line in _command_lines() if mark.encode() in line]


def helpers_with(mark: str) -> list[int]:
    """The pids of those that have `mark` as an argument of its own: the helpers, and not the shell that starts them."""
    return [pid for pid, line in _command_lines() if mark.encode() in line.split(b"\0")]


def _command_lines() -> Iterator[tuple[int, bytes]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(folder.name), (folder / "cmdline").read_bytes()
