"""Where children are made: the forkserver of `multiprocess`, or plain spawning where there is none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from job_item.process import is_portable, pidfd
from supervisor.multi import forkserver, multiprocess, process, resource_tracker, wait

DEAF_TO = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1})
"""What a terminal sends to all processes of its group, or a user by name, and means the parent."""


class Forkserver:
    """Makes processes fast: it has imported what they need and forks itself.

    Where it is killed, its children live on (they fall to us, if we are a subreaper), and the next `make` starts a
    new one.
    """

    def __init__(self, preload: Iterable[str]) -> None:
        has_one = "forkserver" in multiprocess.get_all_start_methods() and not is_portable()
        self._context = multiprocess.get_context("forkserver" if has_one else "spawn")
        self._has_one = has_one
        if has_one:
            self._context.set_forkserver_preload(list(preload))
        _forbid_resource_tracker()

    @property
    def pid(self) -> int | None:
        """The pid of the forkserver that runs, or ran last."""
        pid: int | None = forkserver._forkserver._forkserver_pid
        return pid

    def warm(self) -> None:
        """Let the forkserver begin with its imports; returns at once. A dead one is reaped and replaced."""
        if self._has_one:
            with _born_deaf():
                forkserver.ensure_running()

    def pipe(self) -> tuple[Any, Any]:
        """Both ends of a duplex pipe."""
        ours, theirs = self._context.Pipe(duplex=True)
        return ours, theirs

    def make(self, name: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> Any:
        """Start a process; waits until it has its pid. Raises OSError or EOFError when that fails."""
        child = self._context.Process(target=target, args=arguments, name=name)
        with _born_deaf():
            child.start()
        # multiprocess would wait for it without bound when we end; the parent has bounds of its own.
        process._children.discard(child)
        return child

    def is_dead(self, within_s: float) -> bool:
        """Whether the forkserver is dead, or will be within so many seconds; its children have fallen to us then."""
        if self.pid is None:
            return False
        try:
            descriptor = pidfd(self.pid)
        except ProcessLookupError:
            return True
        if descriptor is None:
            return False
        try:
            return bool(wait([descriptor], within_s))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """End the forkserver, with no regard for children that still live."""
        if self.pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        forkserver._forkserver._stop()


@contextmanager
def _born_deaf() -> Iterator[None]:
    """What starts in here has the signals of the parent blocked: it shares the terminal's process group, and Ctrl-C
    would end its imports.

    Blocked and not ignored, so that a Ctrl-C that comes right now still reaches us.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forbid_resource_tracker() -> None:
    """Keep multiprocess from starting its resource tracker: 12 MB for shared memory, of which we use none.

    It believes in a tracker whose descriptor takes what is written to it.
    """
    tracker = resource_tracker._resource_tracker
    if tracker._fd is None:
        tracker._fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
