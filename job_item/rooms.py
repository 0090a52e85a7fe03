"""The check at start that the four rooms belong together.

`supervisor`, `worker` and `execs` are words that other distributions and a user's own folder use too. A node made of
rooms from two places would fail late and strangely, so it stops at once instead (architecture, section 3).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from job_item.errors import NodeError

ROOMS = ("job_item", "supervisor", "worker", "execs")


def locate_rooms() -> dict[str, Path | None]:
    """Find the `__file__` that each room has or would get on import; None where there is no such package."""
    return {room: _locate(room) for room in ROOMS}


def _locate(room: str) -> Path | None:
    loaded = sys.modules.get(room)
    if loaded is not None:
        origin = loaded.__file__
    else:
        spec = find_spec(room)
        origin = spec.origin if spec is not None else None
    return Path(origin).resolve() if origin is not None else None


def judge_rooms(rooms: Mapping[str, Path | None]) -> None:
    """Refuse rooms that do not stand side by side, each the package of its name.

    Raises `NodeError` (ERR-SUP-053) that names the strangers and where they were found.
    """
    home = rooms["job_item"]
    street = home.parent.parent if home is not None else None
    strangers = [
        f"{room} ({'not found' if place is None else place})"
        for room, place in rooms.items()
        if place is None or street is None or place != street / room / "__init__.py"
    ]
    if strangers:
        raise NodeError(
            "ERR-SUP-053", f"These packages are not the ones beside job_item ({home}): {', '.join(strangers)}."
        )


def check_rooms() -> None:
    """Check the rooms of this process. Raises `NodeError` (ERR-SUP-053)."""
    judge_rooms(locate_rooms())
