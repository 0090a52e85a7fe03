"""What the parent works with: made when the node begins, given back in reverse order when it has ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from job_item.plainlog import PlainLog
from job_item.process import become_subreaper, children_of
from supervisor.forkserver import Forkserver
from supervisor.holdings import Holdings
from supervisor.notify import Notifier, take_wish
from supervisor.plan import Plan
from supervisor.signals import Signals


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the parent works with."""

    holdings: Holdings
    births: Forkserver
    signals: Signals
    strangers: frozenset[int]
    """Children that this process had before it was the node (a shell that became us by `exec`): not ours to end."""
    log: PlainLog
    notifier: Notifier


@contextmanager
def outfit_for(plan: Plan, environ: MutableMapping[str, str]) -> Iterator[Outfit]:
    """Prepare this process for the node of `plan`, for as long as the context lasts."""
    log = PlainLog(plan.log, room="supervisor", secrets=plan.log.secrets, environ=environ)
    with ExitStack() as stack:
        signals = Signals()
        signals.install()
        stack.callback(signals.close)
        notifier = Notifier(take_wish(environ, os.getpid()), log)
        stack.callback(notifier.close)
        strangers = frozenset(children_of(os.getpid()))
        become_subreaper()
        rooms = sorted({plan.entries[room].partition(":")[0] for room in plan.rooms})
        births = Forkserver(["supervisor.leash", "supervisor.child", "supervisor.reader", *rooms, "supervisor.freeze"])
        stack.callback(births.close)
        births.warm()
        yield Outfit(Holdings(plan), births, signals, strangers, log, notifier)
