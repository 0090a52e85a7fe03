"""The room's end of its zygote: starts it, asks it for keepers, and ends it when it does not answer."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from job_item import process
from job_item.alarm import Alarm
from job_item.errors import Unavailable
from job_item.keeper import tree
from job_item.keeper.siblings import Siblings
from job_item.keeper.wire import Frames, pack

ANSWER_LIMIT_S = 5.0
"""A zygote sweeps for `keep.SWEEP_LIMIT_S` at most and may have to wait for a processor; beyond this it is stuck."""
END_LIMIT_S = 5.0
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from job_item.keeper.zygote import main; main(3)"
_ROOT = str(Path(__file__).parents[2])


@dataclass(frozen=True, slots=True)
class Boot:
    """What is started as a zygote: it finds its socket at descriptor 3, and the lock at 4."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def bare() -> Boot:
    """An interpreter with nothing in it but the keepers' own code."""
    return Boot((sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, _ROOT), {"PATH": os.defpath})


class ZygoteLink:
    """One zygote. `hear` gets its messages (`zygote.Zygote`), `lose` is called once when it has ended by itself."""

    def __init__(
        self,
        lock: int | None,
        hear: Callable[[dict[str, Any]], None],
        lose: Callable[[], None],
        open_files: tuple[int, int] | None = None,
        boot: Boot | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        """Start a zygote that holds the descriptor `lock` open; a bare one may be asked right away. Raises OSError.

        `open_files`: the limits (soft, hard) that it and all below it get; else those of this process.
        """
        self._siblings = siblings or Siblings()
        self._on_message = hear
        self._on_end = lose
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._unanswered = 0
        self._alarm: Alarm | None = None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._pid = self._siblings.start(partial(_spawn, boot or bare(), theirs.fileno(), lock))
            except OSError:
                ours.close()
                raise
        if open_files is not None:
            process.limit_open_files(self._pid, open_files)
        ours.setblocking(False)
        self._socket = ours
        self._loop.add_reader(ours.fileno(), self._hear)

    def fork(self, number: int, *others: int) -> socket.socket:
        """Ask for keeper `number`; returns the room's end of its socket. Raises Unavailable.

        `others` are descriptors that it gets besides.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise Unavailable("ERR-RUN-014", f"There can be no more processes now: {error.strerror}.") from error
        with theirs:
            try:
                descriptors = [theirs.fileno(), *others]
                request = pack({"fork": number, "descriptors": len(descriptors)})
                socket.send_fds(self._socket, [request], descriptors)
            except OSError as error:
                ours.close()
                raise Unavailable("ERR-RUN-006", "The process that starts jobs does not answer.") from error
        ours.setblocking(False)
        self._expect_answer()
        return ours

    def kill(self, number: int) -> None:
        """Have keeper `number` killed, and what is below it."""
        try:
            self._socket.send(pack({"kill": number}))
        except OSError:
            pass  # its buffer is full of requests: the alarm that those have set ends it, and all keepers with it
        self._expect_answer()

    async def close(self) -> None:
        """Let go of it and wait, within a bound, until it and all below it are gone."""
        self._break_off()
        await asyncio.to_thread(_await_end, self._pid, END_LIMIT_S, self._siblings)

    def _hear(self) -> None:
        try:
            chunk = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        for message in self._frames.feed(chunk):
            if "heard" in message:
                self._note_answer()
            self._on_message(message)
        if not chunk:
            self._break_off()
            self._siblings.forget(self._pid)
            self._on_end()

    def _expect_answer(self) -> None:
        self._unanswered += 1
        if self._alarm is None:
            self._alarm = Alarm(self._loop, ANSWER_LIMIT_S, self._kill)

    def _note_answer(self) -> None:
        self._unanswered -= 1
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._unanswered:
            self._alarm = Alarm(self._loop, ANSWER_LIMIT_S, self._kill)

    def _kill(self) -> None:
        """It is stopped or stuck; its end is heard as any other."""
        os.kill(self._pid, signal.SIGKILL)

    def _break_off(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


def _spawn(boot: Boot, control: int, lock: int | None) -> int:
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, control, 3)]
    if lock is not None:
        actions.append((os.POSIX_SPAWN_DUP2, lock, 4))
    return os.posix_spawn(
        boot.argv[0],
        boot.argv,
        {**boot.env, **({"JOB_ITEM_PORTABLE": "1"} if process.is_portable() else {})},
        file_actions=actions,
        setsigdef=(signal.SIGCHLD,),
        setsigmask=(),
    )


def _await_end(pid: int, limit_s: float, siblings: Siblings) -> None:
    """Wait until child `pid` has ended, kill it when it does not, and what then is left below this process."""
    descriptor = process.pidfd(pid)
    if descriptor is None:
        _await_end_portably(pid, limit_s)
        return
    try:
        if not tree.is_readable(descriptor, limit_s):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(descriptor)
    siblings.forget(pid)
    siblings.sweep(limit_s)


def _await_end_portably(pid: int, limit_s: float) -> None:
    """As `_await_end`, where the death of a child can only be asked for; nothing falls to us there."""
    deadline = time.monotonic() + limit_s
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(tree.PAUSE_S)
