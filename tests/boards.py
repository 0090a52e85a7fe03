"""What is in force, for tests: a node's settings, how it is started with them, and a board that shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from job_item.link import ChildStart
from job_item.settings import Settings
from worker.standing import Board, Standing


def start_with(folder: Path, settings: Settings | None = None, **members: Any) -> ChildStart:
    """What a child is born with; `members` are more of its fields."""
    named = {"work_dir": folder, "identity": "me", "incarnation": "first", "dotenv": {}, "base_url": "http://[::1]:81"}
    return ChildStart(
        settings=settings or Settings(),
        config_path=folder / "config.yaml",
        state_dir=folder,
        supervisor_pid=1,
        started_at=0.0,
        **{**named, **members},
    )


def standing(environ: Mapping[str, str] | None = None, before: Standing | None = None, **settings: Any) -> Standing:
    """What these settings put into force."""
    start = start_with(Path("/nowhere"), Settings.model_validate(settings))
    return Standing.of(start, environ or {}, before)


def board(**settings: Any) -> Board:
    """A board that shows these settings."""
    return Board(standing(**settings))
