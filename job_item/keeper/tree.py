"""The processes below this one: list them, signal them, kill them until there are none.

A subreaper inherits every orphan of its tree, so "no child left" (`ECHILD`) from the kernel means that the whole tree
is gone. Only direct children are ever killed by pid: nobody but us can reap them, so their pids cannot have been
reused.

On the portable path no orphan falls to us and no tree can be looked at: there the process group that a command leads
stands for its tree, and whatever has left the group is not found.
"""

from __future__ import annotations

import os
import select
import time

from job_item.process import children_of, is_portable, parent_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Container
else:
    import _signal as signal  # the C module itself: the enums of `signal` cost every keeper a megabyte

PAUSE_S = 0.005
"""How long one round of killing waits for the kernel; a dead child ends the wait at once."""

DRAIN_BYTES = 4096


class Death:
    """A child that was reaped: who it was, how it ended, what it and its reaped children used."""

    __slots__ = ("cpu_s", "max_rss_bytes", "name", "pid", "status")

    def __init__(self, pid: int, name: str, status: int, cpu_s: float, max_rss_bytes: int) -> None:
        self.pid = pid
        self.name = name
        self.status = status
        self.cpu_s = cpu_s
        self.max_rss_bytes = max_rss_bytes

    def __str__(self) -> str:
        code = os.waitstatus_to_exitcode(self.status)
        return f"{self.pid} {self.name}: " + (f"exit {code}" if code >= 0 else f"signal {-code}")


def name_of(pid: int) -> str:
    """The kernel's name of a process, `?` when it cannot be told."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read(64).decode("utf-8", "replace").strip()
    except OSError:
        return "?"


def reap(known: dict[int, str], main: int = 0) -> tuple[list[Death], bool]:
    """Reap every child that has ended; returns the deaths, and whether there is any child left.

    `known` gives names that need no look-up. When `main` has ended its group is killed before it is reaped: until then
    its pid, which names the group, is its own.
    """
    if is_portable():
        return _reap_portably(known, main)
    deaths: list[Death] = []
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return deaths, False
        if ended is None:
            return deaths, True
        pid = ended.si_pid
        name = known.get(pid) or name_of(pid)
        if pid == main:
            _kill_own_group(pid)
        _, status, usage = os.wait4(pid, 0)
        deaths.append(Death(pid, name, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024))


def _reap_portably(known: dict[int, str], main: int) -> tuple[list[Death], bool]:
    """As `reap`, without a look at the dead before they are reaped: the group of `main` is killed right after, while
    its members keep the number from being given again.
    """
    deaths: list[Death] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return deaths, False
        if pid == 0:
            return deaths, True
        if pid == main:
            _kill_own_group(pid)
        name = known.get(pid, "?")
        deaths.append(Death(pid, name, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024))


def reap_one(pid: int) -> None:
    """Take child `pid` away if it has ended."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def kill_group(pid: int) -> None:
    """Kill the process group that child `pid` leads; one call catches even what forks faster than it can be listed."""
    try:
        if os.getpgid(pid) == pid:
            _kill_own_group(pid)
    except OSError:
        pass  # it is not ours to look at


def _kill_own_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except OSError:
        pass  # the group is empty, or not ours to signal


def kill_children(spare: Container[int] = (), main: int = 0) -> int:
    """Send SIGKILL to each direct child, and to the group it leads, except those in `spare`; return how many there
    are. On the portable path the command `main` is the only child that we know.
    """
    if is_portable():
        targets = [main] if main else []
    else:
        targets = [pid for pid in children_of(os.getpid()) if pid not in spare]
    for pid in targets:
        kill_group(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass  # it ended, or it changed its user and is beyond our rights: `sweep` counts it
    return len(targets)


def sweep(wakeup: int | None, limit_s: float, main: int = 0) -> tuple[list[Death], int]:
    """Kill the whole tree below this process and reap it.

    Parameters: `wakeup`, the descriptor that SIGCHLD makes readable (None where another thread owns the signals);
    `limit_s`, seconds after which what cannot be killed is left; `main`, as in `kill_children`. Returns the deaths and
    the number of survivors (0 unless something is beyond our rights).
    """
    deaths: list[Death] = []
    poller = select.poll()
    if wakeup is not None:
        poller.register(wakeup, select.POLLIN)
    deadline = time.monotonic() + limit_s
    while True:
        left = kill_children(main=main)
        ended, any_left = reap({})
        deaths += ended
        if not any_left:
            return deaths, 0
        if time.monotonic() > deadline:
            return deaths, max(left, 1)
        if poller.poll(PAUSE_S * 1000) and wakeup is not None:
            drain(wakeup)


def drain(wakeup: int) -> None:
    """Empty the wake-up descriptor."""
    try:
        while len(os.read(wakeup, DRAIN_BYTES)) == DRAIN_BYTES:
            pass
    except BlockingIOError:
        pass


def signal_all(number: int, main: int) -> None:
    """Send `number` to every process below this one, and SIGCONT so that stopped ones hear it.

    On the portable path that is the group of the command `main`, which is not reaped yet.

    Descendants are held by pidfd and looked at again before the signal: their own parents may reap them meanwhile.
    """
    if is_portable():
        _signal_group(main, number)
        return
    todo, seen = children_of(os.getpid()), set()
    while todo:
        pid = todo.pop()
        if pid in seen:
            continue
        seen.add(pid)
        todo += children_of(pid)
    for pid in seen:
        _signal_held(pid, seen, number)


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
        os.killpg(leader, signal.SIGCONT)
    except OSError:
        pass  # it ended meanwhile, or it is beyond our rights


def _signal_held(pid: int, tree: set[int], number: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if parent_of(pid) in tree or parent_of(pid) == os.getpid():
            signal.pidfd_send_signal(descriptor, number)
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
    except OSError:
        pass  # it ended meanwhile, or it is beyond our rights
    finally:
        os.close(descriptor)


def watch_children() -> int:
    """Have SIGCHLD make a descriptor readable, and return that descriptor."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def is_readable(descriptor: int, limit_s: float) -> bool:
    """Wait until `descriptor` is readable, at most `limit_s` seconds."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(limit_s * 1000))
