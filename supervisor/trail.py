"""What a path leads to: the names on the way to a file that somebody may put something else in the place of."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

_LINKS_MAX = 40
"""As many as the kernel follows (path_resolution(7))."""


@dataclass(frozen=True, slots=True)
class Step:
    """A name in a real folder: the file itself, or a symbolic link on the way to it."""

    folder: str
    name: str

    @property
    def path(self) -> str:
        """The whole path."""
        return os.path.join(self.folder, self.name)  # noqa: PTH118 - pathlib would take longer than the system call


@dataclass(frozen=True, slots=True)
class Trail:
    """The way to a file. With `is_broken` the last step is not there."""

    steps: tuple[Step, ...]
    is_broken: bool


def follow(path: str) -> Trail:
    """Find the way to an absolute `path`, all symbolic links of folders and of the file resolved, one after the other.

    It ends at the first thing that is missing or may not be looked at.
    """
    here, todo = "/", _parts(path)
    steps: list[Step] = []
    links = 0
    while todo:
        name = todo.pop(0)
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120
            continue
        step = Step(here, name)
        target = _target(step.path)
        if target is None or links > _LINKS_MAX:
            return Trail((*steps, step), is_broken=True)
        if target:
            links += 1
            steps.append(step)
            here = "/" if target.startswith("/") else here
            todo = _parts(target) + todo
        elif todo:
            here = step.path
        else:
            steps.append(step)
    return Trail(tuple(steps), is_broken=False)


def _target(path: str) -> str | None:
    """Where a symbolic link points; empty for what is none, None for what is not there."""
    try:
        return os.readlink(path) if stat.S_ISLNK(os.lstat(path).st_mode) else ""  # noqa: PTH115
    except OSError:
        return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
