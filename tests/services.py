"""A service manager for tests: the socket that it listens on, and what it has been told."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType

from tests.conftest import eventually


class ServiceManager:
    """Listens as systemd does. `name` is a path, or `@...` for the abstract kind."""

    def __init__(self, name: Path | str) -> None:
        self.name = str(name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self._socket.setblocking(False)
        self.told: list[list[str]] = []

    def __enter__(self) -> ServiceManager:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Be gone."""
        self._socket.close()

    def environ(self, watchdog_s: float | None = None) -> dict[str, str]:
        """What a service of ours is started with."""
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1_000_000))}
        return {"NOTIFY_SOCKET": self.name, **watchdog}

    def lines(self) -> list[str]:
        """All lines that have come so far, in their order."""
        while True:
            try:
                datagram = self._socket.recv(1 << 16)
            except BlockingIOError:
                return [line for lines in self.told for line in lines]
            self.told.append(datagram.decode().split("\n"))

    def await_line(self, start: str, *, after: int = 0, within_s: float = 20.0) -> str:
        """Wait for a line that begins so, leaving out the first `after` lines; returns it."""

        def found() -> str | None:
            return next((line for line in self.lines()[after:] if line.startswith(start)), None)

        return eventually(found, within_s=within_s, what=f"{start} in {self.told}") or ""


def abstract_name() -> str:
    """A name that no other test has."""
    return f"@job-item-test-{os.getpid()}-{os.urandom(6).hex()}"
