"""Which tests stay together where several processes run them: those of a file, and those that need the same build.

xdist has marks for this, which it keeps in the ids of tests; pytest 9.2 took the way to change an id from it, and the
marks are of no effect since, without a word. A scheduler that asks for the file depends on nothing of the kind.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from xdist.scheduler import LoadFileScheduling

OF_ONE_BUILD = frozenset({"test_dist", "test_dockerfile", "test_runbook"})


class Lines(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    """Hands a whole file to a process, in their order: those of `integration` take longest and come first."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "a build" if PurePath(file).stem in OF_ONE_BUILD else file
