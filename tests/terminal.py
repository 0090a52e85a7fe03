"""The command line as its users have it: in a process of its own, its output piped or on a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_item.state import NodeInfo, StateFolder
from tests.conftest import ROOT, eventually
from tests.desks import MemoryDesk, Served

CONFIG = """
jobs:
  - {event: hello, cmd: echo hello}
  - {event: count, cmd: echo 1}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Running:
    """A command that runs; what it writes is gathered as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.out = bytearray()
        self.err = bytearray()
        pipes = ((process.stdout, self.out), (process.stderr, self.err))
        self._readers = [threading.Thread(target=self._gather, args=pipe) for pipe in pipes]
        for reader in self._readers:
            reader.start()

    def sees(self, out: bytes = b"", err: str = "") -> None:
        """Wait until both texts have come."""
        eventually(lambda: out in self.out and err.encode() in self.err, what=f"{out!r} and {err!r} are seen")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Ended:
        """Wait for the end."""
        code = self.process.wait(20)
        for reader in self._readers:
            reader.join(20)
        return Ended(code, bytes(self.out), self.err.decode())

    @staticmethod
    def _gather(pipe: Any, into: bytearray) -> None:
        with pipe:
            while chunk := os.read(pipe.fileno(), 65536):
                into += chunk


class Shell:
    """A folder with a configuration, where commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG)

    @property
    def state(self) -> StateFolder:
        """The state folder of this configuration."""
        return StateFolder(self.folder / ".job_item")

    def knows(self, served: Served, *, token: str | None = None, pid: int | None = None) -> None:
        """Write `node.json` as a node that runs does."""
        self.state.prepare()
        self.state.write_node(NodeInfo(pid or os.getpid(), served.base_url, token, "0.1.0", time.time()))

    def run(self, *words: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ended:
        """Run a command to its end."""
        ended = subprocess.run(
            [sys.executable, "-m", "supervisor", *words],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            env=environment(env),
            timeout=30,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr.decode())

    @contextmanager
    def start(self, *words: str) -> Iterator[Running]:
        """Start a command that a test acts upon while it runs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor", *words],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()
            running.end()

    @contextmanager
    def on_terminal(self, *words: str) -> Iterator[Screen]:
        """Start a command on a terminal of its own, 160 columns wide."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            env = environment({"COLUMNS": "160", "LINES": "50", "TERM": "xterm-256color"})
            os.execve(sys.executable, [sys.executable, "-m", "supervisor", *words], env)
        screen = Screen(pid, terminal)
        try:
            yield screen
        finally:
            screen.close()


class Screen:
    """What a command shows on its terminal."""

    def __init__(self, pid: int, terminal: int) -> None:
        self._pid = pid
        self._terminal = terminal
        self._code: int | None = None
        self._text = bytearray()
        self._reader = threading.Thread(target=self._gather)
        self._reader.start()

    @property
    def text(self) -> str:
        return self._text.decode(errors="replace")

    def sees(self, text: str) -> None:
        """Wait until the text is shown."""
        eventually(lambda: text in self.text, what=f"{text!r} is shown, not {self.text!r}")

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def end(self) -> int:
        """Wait for the end; gives the exit code."""
        if self._code is None:
            self._reader.join(20)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    def close(self) -> None:
        """End the command if it still runs, and the terminal."""
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            self.end()
        os.close(self._terminal)

    def _gather(self) -> None:
        while True:
            try:
                chunk = os.read(self._terminal, 65536)
            except OSError:  # the last process has left the terminal
                return
            self._text += chunk


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: it finds the rooms of this checkout wherever it runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}


def ended_job(served: Served, task_id: str = "T1", **how: Any) -> str:
    """Make a job that wrote on both streams and has ended."""
    from job_item.job import Status

    desk: MemoryDesk = served.desk
    served.create(task_id)
    served.do(desk.begin, task_id)
    for data, stream in ((b"one\n", "stdout"), (b"two\xff\n", "stderr"), (b"three\n", "stdout")):
        served.do(desk.write, task_id, data, stream)
    served.do(desk.end, task_id, how.pop("status", Status.FINISH), **{"exit_code": 0, **how})
    return task_id
