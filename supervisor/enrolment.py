"""The beginning of a node with a Job Manager: it is asked for settings, for as long as it takes.

Nothing runs yet, so a signal that asks for the end is obeyed at once. Where there is a last answer and the Job Manager
is away, the node starts with that.
"""

from __future__ import annotations

import os
import random
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from job_item.errors import NodeError, SettingsError
from job_item.exits import Exit
from job_item.plainlog import PlainLog
from job_item.policy import Backoff
from job_item.redact import Redactor
from supervisor.notify import say_early
from supervisor.signals import HELD_SIGNALS, STOP_SIGNALS

if TYPE_CHECKING:
    from job_item.load import Loaded

PAUSES = Backoff(base_s=1.0, factor=2.0, cap_s=30.0, jitter=0.5)
MORE_TIME_S = 60.0
"""So much longer than the next pause a service manager is asked to wait for the start."""


def enrol(loaded: Loaded, environ: Mapping[str, str], log: PlainLog) -> Loaded:
    """The settings with those of the Job Manager; as they are where the node has none.

    The file is read anew at each try, so that an edit of it counts. Raises SystemExit when a signal asks for the end.
    """
    if not loaded.settings.end_point:
        return loaded
    from job_item.manager.supplier import Source, Wish, load_managed

    source = Source(loaded.config_path, environ)
    with _attention(log) as bell:
        failures = 0
        while True:
            outcome = _beside(lambda: load_managed(source, Wish()), bell, log)
            if not isinstance(outcome, NodeError):
                _tell(outcome, log)
                return outcome
            failures += 1
            delay_s = PAUSES.delay_s(failures, random.random())  # noqa: S311 - chance against herds
            _tell_wait(outcome, delay_s, environ, loaded.secrets, log)
            bell.rest(delay_s, log)


def _tell(loaded: Loaded, log: PlainLog) -> None:
    supply = loaded.supply
    if supply is None:
        return
    if supply.failure:
        reason = f"{supply.failure} ({supply.code})"
        log.warning("manager.lost", code="ERR-MGR-008", url=supply.url, reason=reason, answered_at=supply.answered_at)
    else:
        log.info("manager.found", url=supply.url, project=supply.answer.project, events=len(supply.answer.events))


def _tell_wait(
    error: NodeError, delay_s: float, environ: Mapping[str, str], secrets: tuple[str, ...], log: PlainLog
) -> None:
    faults = error.faults if isinstance(error, SettingsError) else ()
    reason = "; ".join(map(str, faults)) or error.message
    log.error("manager.awaited", code=error.code, reason=reason, again_in_s=round(delay_s, 1))
    status = Redactor(secrets).text(f"Waiting for the Job Manager: {reason} ({error.code})")
    say_early(environ, status, extend_s=delay_s + MORE_TIME_S)


@dataclass(frozen=True, slots=True)
class Bell:
    """Rings when a signal has come, or when what is done beside is done."""

    hears: int
    strikes: int

    def rest(self, limit_s: float | None, log: PlainLog) -> None:
        """Wait for a ring, or for so long. Raises SystemExit for a signal that asks for the end."""
        end_s = None if limit_s is None else time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.hears, selectors.EVENT_READ)
            selector.select(None if end_s is None else max(0.0, end_s - time.monotonic()))
        self.obey(log)

    def obey(self, log: PlainLog) -> None:
        """Do what the signals of just now ask for, without a wait. Raises SystemExit as `rest`."""
        try:
            numbers = os.read(self.hears, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in STOP_SIGNALS:
                log.info("node.stopped", exit_code=int(Exit.DONE), reason="asked to before it had settings")
                raise SystemExit(Exit.DONE)


_DONE = bytes([0])
"""What is no signal."""


def _beside(work: Callable[[], Loaded], bell: Bell, log: PlainLog) -> Loaded | NodeError:
    """Do something in a thread, so that a signal need not wait for it. Raises what is no failure of ours."""
    outcomes: list[Loaded | Exception] = []

    def run() -> None:
        try:
            outcomes.append(work())
        except Exception as error:
            outcomes.append(error)
        os.write(bell.strikes, _DONE)

    threading.Thread(target=run, daemon=True).start()
    while not outcomes:
        bell.rest(None, log)
    outcome = outcomes[0]
    if isinstance(outcome, Exception) and not isinstance(outcome, NodeError):
        raise outcome
    return outcome


@contextmanager
def _attention(log: PlainLog) -> Iterator[Bell]:
    """Signals only ring from now on; HUP and USR1 end a wait early. Raises SystemExit as `Bell.rest`."""
    hears, strikes = os.pipe()
    os.set_blocking(hears, False)
    os.set_blocking(strikes, False)
    before = {number: signal.signal(number, _ignore) for number in HELD_SIGNALS}
    wakeup = signal.set_wakeup_fd(strikes, warn_on_full_buffer=False)
    bell = Bell(hears, strikes)
    try:
        yield bell
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        # The pipe stays: a question that nobody waits for any more may still ring.
    bell.obey(log)  # what came together with the answer


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has told."""
