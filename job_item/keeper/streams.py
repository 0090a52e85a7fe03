"""The two outputs of a command: pipes on the one side, the spool on the other."""

from __future__ import annotations

import os
import select
import time

from job_item.keeper.spool import STDERR, STDOUT, Spool

READ_BYTES = 1 << 18
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
_FULL_PIPE_BYTES = 1 << 16


class Streams:
    """Pumps what a command writes into its spool.

    The pipes stay blocking: a read follows only upon the poller's word, and nobody else reads them.
    """

    def __init__(self, spool: Spool, buffer: memoryview, poller: select.poll) -> None:
        self.spool = spool
        self._buffer = buffer
        self._poller = poller
        self._pipes: dict[int, int] = {}

    def open(self) -> tuple[int, int]:
        """Make the pipes; returns the ends that the command gets, to be closed here once it has them."""
        out_reader, out_writer = os.pipe()
        self._pipes[out_reader] = STDOUT
        try:
            err_reader, err_writer = os.pipe()
        except OSError:
            os.close(out_writer)
            raise
        self._pipes[err_reader] = STDERR
        for descriptor in self._pipes:
            self._poller.register(descriptor, select.POLLIN)
        return out_writer, err_writer

    @property
    def pipes(self) -> tuple[int, ...]:
        """The ends that are read here, until they are closed."""
        return tuple(self._pipes)

    def pump(self, descriptor: int) -> bool:
        """Read once from a pipe that is readable; tells whether it gave anything: at its end it is closed."""
        try:
            count = os.readv(descriptor, (self._buffer,))
        except OSError:
            count = 0
        if not count:
            self._close(descriptor)
            return False
        if count == _FULL_PIPE_BYTES:
            _grow(descriptor)
        self.spool.write(self._pipes[descriptor], self._buffer[:count])
        return True

    def finish(self, limit_s: float) -> None:
        """Read what is left in the pipes, for `limit_s` seconds at most: something beyond our reach may write on."""
        limit = time.monotonic() + limit_s
        for descriptor in tuple(self._pipes):
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            while poller.poll(0) and self.pump(descriptor) and time.monotonic() < limit:
                pass
        self.close()
        self.spool.close()

    def close(self) -> None:
        """Let go of the pipes."""
        for descriptor in tuple(self._pipes):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)
        del self._pipes[descriptor]
        os.close(descriptor)


def _grow(descriptor: int) -> None:
    """Give a pipe that is full the largest buffer that any user may have."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
    except (ImportError, OSError):
        pass  # the user's share of pipe memory is used up: slower, not wrong
