"""How full the file systems are that hold given folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from job_item.hardware.query import ask


class Usage(NamedTuple):
    """One file system: its size, and what this user may still use; inodes are 0 where it does not count them."""

    total_bytes: int
    free_bytes: int
    total_inodes: int
    free_inodes: int


def disk_usage(folder: Path) -> Usage:
    """The file system that holds `folder`. A dead network mount may hold the caller up. Raises `Unknown`."""
    found = ask(f"disk under {folder}", lambda: os.statvfs(folder))
    return Usage(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)
