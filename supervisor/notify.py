"""The service manager's side: sd_notify(3), spoken without any library.

One datagram to the socket that NOTIFY_SOCKET names carries `NAME=value` lines. It is sent without waiting; where the
socket is full or gone it is sent again later, and the node does not care.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass

from job_item.plainlog import PlainLog
from supervisor.outlook import Outlook, status_of
from supervisor.progress import Progress
from supervisor.trial import DEATHS

VARIABLES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
)
"""What a service manager tells its service, and nobody below it."""

EXTENSION_S = 30.0
"""By so much a stop asks for more time, in turn and as long as the node gets on; asked for three times as often."""
RETRY_S = 1.0
"""After this pause what could not be sent is sent again."""
_STATUS_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Wish:
    """What the service manager wants to hear: where, and how often at least (seconds; None: it does not watch)."""

    address: str | None = None
    watchdog_s: float | None = None


def take_wish(environ: MutableMapping[str, str], pid: int) -> Wish:
    """Read what is meant for process `pid`, and take it out of `environ`: no child may speak for the node.

    Source: sd_notify(3) and sd_watchdog_enabled(3). A socket name that starts with `@` is abstract. What cannot be
    understood is ignored.
    """
    taken = {name: environ.pop(name) for name in VARIABLES if name in environ}
    address = taken.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@") or len(address) < 2:
        return Wish()
    return Wish("\0" + address[1:] if address[0] == "@" else address, _watchdog_s(taken, pid))


def _watchdog_s(taken: Mapping[str, str], pid: int) -> float | None:
    if taken.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        interval_s = int(taken.get("WATCHDOG_USEC", "0")) / 1_000_000
    except ValueError:
        return None
    return interval_s if interval_s > 0 else None


def say_early(environ: Mapping[str, str], status: str, *, extend_s: float) -> None:
    """Tell a service manager why the start takes so long, and that it is to have patience for so many seconds more.

    For a node that is not the parent yet, and leaves `environ` as it is.
    """
    wish = take_wish(dict(environ), os.getpid())
    if wish.address is None:
        return
    lines = (f"STATUS={' '.join(status.split())[:_STATUS_CHARACTERS]}", f"EXTEND_TIMEOUT_USEC={int(extend_s * 1e6)}")
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.setblocking(False)
        speaker.sendto("\n".join(lines).encode(), wish.address)


class Notifier:
    """Tells the service manager what has changed; without one it does nothing."""

    def __init__(self, wish: Wish, log: PlainLog) -> None:
        self._wish = wish
        self._log = log
        self._socket: socket.socket | None = None
        if wish.address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._status = ""
        self._deaths = 0
        self._was_ready = self._was_reloading = self._was_stopping = False
        self._feed_at_s: float | None = None
        self._extend_at_s: float | None = None
        self._retry_at_s: float | None = None
        self._is_starved = False

    @property
    def deadline_s(self) -> float | None:
        """When `tell` must come at the latest."""
        if self._retry_at_s is not None:  # until then nothing can be sent, whatever is due
            return self._retry_at_s
        moments = (self._feed_at_s, self._extend_at_s)
        return min((moment for moment in moments if moment is not None), default=None)

    def tell(self, outlook: Outlook, progress: Progress, now_s: float) -> None:
        """Send what is new or due. `now_s` is the monotonic clock, which the service manager's is too."""
        if self._socket is None or (self._retry_at_s is not None and now_s < self._retry_at_s):
            return
        lines = self._changes(outlook)
        makes_progress = progress.is_made(outlook.node, now_s)
        self._note_hunger(makes_progress, outlook, progress, now_s)
        if self._is_due(self._feed_at_s, now_s, self._wish.watchdog_s is not None) and makes_progress:
            lines.append("WATCHDOG=1")
        if self._is_due(self._extend_at_s, now_s, outlook.is_stopping) and makes_progress:
            lines.append(f"EXTEND_TIMEOUT_USEC={int(EXTENSION_S * 1_000_000)}")
        sent = not lines or self._send(lines)
        self._retry_at_s = None if sent else now_s + RETRY_S
        if sent:
            self._remember(outlook, now_s)

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()

    def _changes(self, outlook: Outlook) -> list[str]:
        lines = []
        if outlook.is_stopping:
            if not self._was_stopping:
                lines.append("STOPPING=1")
        elif outlook.is_reloading and not self._was_reloading and self._was_ready:
            lines += ["RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"]
        elif outlook.is_ready and not outlook.is_reloading and (self._was_reloading or not self._was_ready):
            lines += ["READY=1", f"MAINPID={os.getpid()}"]
        if outlook.deaths != self._deaths:
            lines.append(f"{DEATHS}={outlook.deaths}")
        status = status_of(outlook, self._was_ready)
        if status != self._status:
            lines.append(f"STATUS={' '.join(status.split())[:_STATUS_CHARACTERS]}")
        return lines

    @staticmethod
    def _is_due(moment_s: float | None, now_s: float, wanted: bool) -> bool:
        return wanted and (moment_s is None or now_s >= moment_s)

    def _remember(self, outlook: Outlook, now_s: float) -> None:
        self._status = status_of(outlook, self._was_ready)
        self._deaths = outlook.deaths
        self._was_stopping = outlook.is_stopping
        if outlook.is_ready and not outlook.is_reloading:
            self._was_ready, self._was_reloading = True, False
        elif outlook.is_reloading and self._was_ready:
            self._was_reloading = True
        if self._wish.watchdog_s is not None and self._is_due(self._feed_at_s, now_s, True):
            self._feed_at_s = now_s + self._wish.watchdog_s / 2
        if self._is_due(self._extend_at_s, now_s, outlook.is_stopping):
            self._extend_at_s = now_s + EXTENSION_S / 3

    def _note_hunger(self, makes_progress: bool, outlook: Outlook, progress: Progress, now_s: float) -> None:
        """Say in the log that the watchdog is left to bite, and that it is not any more."""
        if self._wish.watchdog_s is None or makes_progress is not self._is_starved:
            return
        self._is_starved = not makes_progress
        if self._is_starved:
            rooms = [room.value for room in progress.idle_rooms(outlook.node, now_s)]
            self._log.error("watchdog.starved", code="ERR-SUP-014", rooms=rooms, patience_s=progress.patience_s)
        else:
            self._log.info("watchdog.fed")

    def _send(self, lines: list[str]) -> bool:
        assert self._socket is not None  # noqa: S101 - `tell` looks
        try:
            self._socket.sendto("\n".join(lines).encode(), self._wish.address or "")
        except OSError:
            return False
        return True
