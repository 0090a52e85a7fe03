"""What the parent knows of its node: plain values, worked out of the settings before it begins.

So the parent needs no settings, and none of the libraries that read and check them. Whoever has new settings makes a
new plan of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.lifecycle import Rules
from supervisor.tables import Room


@dataclass(frozen=True, slots=True)
class LogWish:
    """What the settings say of the log, and what it must not show."""

    level: str
    format: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A node that is ready to be run: its folder is locked, its socket bound, its faults refused."""

    start: bytes
    """The pickled `ChildStart`. The parent passes it on as it is."""
    entries: Mapping[Room, str]
    """What runs in each child, in the order in which they drain."""
    rules: Rules
    early_deaths: tuple[int, float]
    """How many deaths before ready are borne within how many seconds."""
    log: LogWish
    state_dir: Path
    greeting: str
    lock: int
    """The descriptor that holds the lock `node`."""
    listener: int
    """The descriptor of the API's socket."""
