"""The nursery: an interpreter that has loaded all handlers, and forks keepers that fork hands."""

from __future__ import annotations

import _socket
import gc
import os
import signal
from contextlib import suppress
from functools import partial
from typing import Any

from job_item import process
from job_item.handlers import hold
from job_item.handlers.clients import api_of, storage_of
from job_item.handlers.context import Kit
from job_item.handlers.hand import become
from job_item.handlers.registry import load
from job_item.handlers.roster import Roster
from job_item.keeper.wire import pack
from job_item.keeper.zygote import Zygote, ignore_stops

_CONTROL = 3


def main(text: str) -> None:
    """Serve one room over descriptor 3 until its end.

    It says `{"fit": True}` when it can be asked, or `{"unfit": sentence}` with a code when it never will.
    """
    process.close_all_on_exec()
    process.become_subreaper()
    process.signal_when_orphaned(signal.SIGCONT)
    ignore_stops()
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, _CONTROL)
    roster = Roster.from_json(text)
    os.chdir(roster.folder)
    before = _descriptors()
    registry = load(roster)
    spared = _descriptors() - before
    if registry.troubles:
        trouble = registry.troubles[0]
        _say(control, {"unfit": trouble.message, "code": trouble.code})
        with suppress(OSError):
            control.recv(1)  # until the room has had enough of it
        return
    kit = Kit(storage_of, api_of)
    zygote = Zygote(control, partial(hold.run, partial(become, registry.duties, kit, spared)))
    gc.collect()
    gc.freeze()
    _say(control, {"fit": True})
    zygote.serve()


def _say(control: _socket.socket, word: dict[str, Any]) -> None:
    """Tell the room; one that has gone while the handlers were loaded is met by who reads next."""
    with suppress(OSError):
        control.sendall(pack(word))


def _descriptors() -> frozenset[int]:
    return frozenset(int(name) for name in os.listdir("/dev/fd"))  # noqa: PTH208 - numbers are wanted
