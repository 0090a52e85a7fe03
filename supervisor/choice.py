"""Which version a start runs: what is installed, or one that an update has put in the folder of versions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from job_item import __version__
from job_item.errors import NodeError
from job_item.plainlog import PlainLog
from job_item.release.marker import TRIES_MAX, Marker, Staged
from job_item.release.shelf import Shelf
from job_item.release.version import rank
from job_item.state import StateFolder
from supervisor.succession import is_guarded

if TYPE_CHECKING:
    from job_item.load import Loaded


def choose(loaded: Loaded, environ: Mapping[str, str], log: PlainLog) -> Marker | None:
    """The marker of the version to run in place of this one; None where this one goes on.

    A start on trial is counted before this returns. Whatever is wrong with a version, or with what is kept of it, is
    said and leads to the one before it.
    """
    key = loaded.settings.update.public_key
    if key is None or is_guarded(environ):
        return None
    if StateFolder(loaded.state_dir).holder("node") is not None:  # this start will be refused, and is no try
        return None
    shelf = Shelf(loaded.state_dir)
    try:
        marker = shelf.read()
        while (staged := marker.current) is not None and rank(staged.version) > rank(__version__):
            fault = _fault(shelf, marker, staged, key)
            if fault is None:
                counted = shelf.change(partial(Marker.begin_try, at=time.time())) if marker.is_on_trial else marker
                if counted.current == staged:
                    return counted
                marker = counted  # another was staged at this moment
            else:
                log.error("update.failed", code="ERR-REL-017", version=staged.version, reason=fault)
                marker = shelf.change(partial(Marker.fall_back, reason=fault, at=time.time()))
    except NodeError as error:
        log.error("update.unusable", code=error.code, reason=error.message)
    return None


def _fault(shelf: Shelf, marker: Marker, staged: Staged, key: str) -> str | None:
    """What is wrong with a version before it is started."""
    from job_item.release.keys import verify

    if marker.is_exhausted:
        return f"it was started {TRIES_MAX} times and never confirmed"
    try:
        release = verify(shelf.read_release(staged.version), key)
    except NodeError as error:
        return error.message
    if (release.version, release.sha256) != (staged.version, staged.sha256) or not shelf.is_whole(staged):
        return "it is not the one that was signed"
    return None
