"""Where children are made: the forkserver of `multiprocess`, or plain spawning where there is none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import multiprocess
from multiprocess import forkserver, process, resource_tracker

from job_item.process import is_portable


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
        if not self._has_one:
            return
        # It shares the terminal's process group, and Ctrl-C during its imports would kill it with a trace.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, handler)

    def pipe(self) -> tuple[Any, Any]:
        """Both ends of a duplex pipe."""
        ours, theirs = self._context.Pipe(duplex=True)
        return ours, theirs

    def make(self, name: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> Any:
        """Start a process; waits until it has its pid. Raises OSError or EOFError when that fails."""
        self.warm()
        child = self._context.Process(target=target, args=arguments, name=name)
        child.start()
        # multiprocess would wait for it without bound when we end; the parent has bounds of its own.
        process._children.discard(child)
        return child

    def close(self) -> None:
        """End the forkserver, with no regard for children that still live."""
        if self.pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        forkserver._forkserver._stop()


def _forbid_resource_tracker() -> None:
    """Keep multiprocess from starting its resource tracker: 12 MB for shared memory, of which we use none.

    It believes in a tracker whose descriptor takes what is written to it.
    """
    tracker = resource_tracker._resource_tracker
    if tracker._fd is None:
        tracker._fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
