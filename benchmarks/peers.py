"""Other supervisors, each keeping the same command alive: started, edited and stopped the way their users do it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.conftest import ROOT

BIN = ROOT / ".venv-peers" / "bin"
"""Where `tools/setup peers` installs them."""
LIMIT_S = 20.0


class Peer(Protocol):
    """One supervisor that keeps one command alive."""

    name: str

    def configure(self, command: str) -> None:
        """Write the configuration that asks for `command`; no process hears of it."""

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in the foreground."""

    def apply(self) -> None:
        """Have it take over what `configure` has written; returns when its own tool does."""


class Supervisord:
    """supervisord, asked by `supervisorctl update`; a program counts as up after one second."""

    name = "supervisord"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "supervisord.conf"

    def configure(self, command: str) -> None:
        """Write the configuration that asks for `command`."""
        socket = self._folder / "s.sock"
        self._file.write_text(
            f"[unix_http_server]\nfile={socket}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{socket}\n"
            f"[supervisord]\nnodaemon=true\nlogfile={self._folder}/s.log\npidfile={self._folder}/s.pid\n"
            f"[program:beat]\ncommand={command}\nautorestart=true\n"
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in the foreground."""
        return _start(BIN / "supervisord", "-c", self._file)

    def apply(self) -> None:
        """Have it take over the file."""
        _run(BIN / "supervisorctl", "-c", self._file, "update")


class Circus:
    """circusd, asked by `circusctl reloadconfig`; it looks at its processes every second instead of every five."""

    name = "circus"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "circus.ini"
        self._endpoint = f"ipc://{folder}/c.sock"

    def configure(self, command: str) -> None:
        """Write the configuration that asks for `command`."""
        self._file.write_text(
            f"[circus]\nendpoint = {self._endpoint}\npubsub_endpoint = ipc://{self._folder}/p.sock\ncheck_delay = 1\n"
            f"[watcher:beat]\ncmd = {command}\nnumprocesses = 1\ncopy_env = True\n"
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in the foreground."""
        return _start(BIN / "circusd", self._file)

    def apply(self) -> None:
        """Have it take over the file."""
        _run(BIN / "circusctl", "--endpoint", self._endpoint, "reloadconfig")


@contextmanager
def running(peer: Peer) -> Iterator[None]:
    """A supervisor that runs for as long as the context lasts."""
    process = peer.start()
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(*argv: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env=_environ(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _run(*argv: str | Path) -> None:
    subprocess.run(argv, env=_environ(), check=True, capture_output=True, timeout=LIMIT_S)


def _environ() -> dict[str, str]:
    """Without our own path: one of them has a package of the same name as one of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
