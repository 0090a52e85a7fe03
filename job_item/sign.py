"""What tells one version of a file from another, without reading it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

Sign = tuple[int, int, int, int, bool] | None
"""Device, inode, size, time of the last change of the content, readable. None: there is no file."""


def sign(path: str) -> Sign:
    """What is there now. A change of permissions shows only where it says whether the file can be read."""
    try:
        found = os.stat(path)  # noqa: PTH116 - also for the parent, which does it at each heartbeat
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, os.access(path, os.R_OK)


def signs(paths: Iterable[str]) -> Mapping[str, Sign]:
    """What is there now at each of the paths."""
    return {path: sign(path) for path in paths}
