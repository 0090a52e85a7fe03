"""How a nursery is started: known without importing what it does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from job_item.handlers.roster import Roster
from job_item.keeper.zygote_link import Boot

_BOOT = "import sys; sys.path[0] = sys.argv[1]; from job_item.handlers.nursery import main; main(sys.argv[2])"


def boot_of(roster: Roster, environ: Mapping[str, str]) -> Boot:
    """Start an interpreter that loads `roster`; `environ` is all that its modules see of the node's environment.

    No byte code is kept: Python would take the old one of a file that is edited twice in a second.
    """
    root = str(Path(__file__).parents[2])
    return Boot((sys.executable, "-B", "-X", "utf8", "-c", _BOOT, root, roster.as_json()), environ)
