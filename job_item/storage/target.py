"""Where a download goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job_item.storage.arriving import Arriving, arriving
from job_item.storage.failure import of_target


@contextmanager
def file_for(path: Path, name: str) -> Iterator[tuple[Arriving, Path]]:
    """Make the local file that a stored one is fetched to, and give its path; a folder takes it under its own name.

    Raises `NodeError` (ERR-STG-007, ERR-STG-010).
    """
    try:
        if path.is_dir():
            path /= name.rpartition("/")[2]
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with arriving(folder, path.name) as target:
                yield target, path
        finally:
            os.close(folder)
    except OSError as error:
        raise of_target(error, path) from error
