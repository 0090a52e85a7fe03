"""The command line as its users have it: in a process of its own, its output piped or on a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_item.job import Status
from job_item.state import NodeInfo, StateFolder
from tests.conftest import ROOT, eventually
from tests.desks import Served

CONFIG = """
jobs:
  - {event: hello, cmd: echo hello}
  - {event: count, cmd: echo 1}
"""

COMMAND = [sys.executable, "-m", "supervisor"]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Tap:
    """Gathers what comes out of a descriptor, until its end."""

    def __init__(self, descriptor: int) -> None:
        self.taken = bytearray()
        self.descriptor = descriptor
        self._reader = threading.Thread(target=self._gather)
        self._reader.start()

    def finish(self) -> bytes:
        """Wait for the end; gives all that came."""
        self._reader.join(60)
        return bytes(self.taken)

    def _gather(self) -> None:
        try:
            while chunk := os.read(self.descriptor, 65536):
                self.taken += chunk
        except OSError:  # how a terminal says that nobody is left at its other end
            return


class Running:
    """A command that runs; on a terminal its standard error is there too."""

    def __init__(self, process: subprocess.Popen[bytes], out: int, err: int | None) -> None:
        self.process = process
        self.keyboard = out
        """Where to write what is typed, on a terminal."""
        self.out = Tap(out)
        self.err = Tap(err) if err is not None else self.out

    def sees(self, out: str = "", err: str = "") -> None:
        """Wait until both texts have come."""

        def seen() -> bool:
            assert out in self.out.taken.decode(errors="replace")
            return err in self.err.taken.decode(errors="replace")

        eventually(seen, what=f"{out!r} and {err!r} in {self.out.taken!r} and {self.err.taken!r}")

    def types(self, text: str) -> None:
        """Type a line at the terminal."""
        os.write(self.out.descriptor, text.encode() + b"\n")

    def types_unseen(self, text: str) -> None:
        """Type a line where the terminal shows nothing of it: whatever was typed before that is thrown away."""

        def is_blind() -> bool:
            return not termios.tcgetattr(self.out.descriptor)[3] & termios.ECHO

        eventually(is_blind, what="the terminal shows nothing of what is typed")
        self.types(text)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Ended:
        """Wait for the end."""
        code = self.process.wait(60)
        return Ended(code, self.out.finish(), self.err.finish().decode(errors="surrogateescape"))


class Shell:
    """A folder with a configuration, where commands are run."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(config)

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
            [*COMMAND, *words],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            env=environment(env),
            timeout=120,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr.decode(errors="surrogateescape"))

    @contextmanager
    def start(self, *words: str) -> Iterator[Running]:
        """Start a command that a test acts upon while it runs."""
        with subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process:
            assert process.stdout
            assert process.stderr
            running = Running(process, process.stdout.fileno(), process.stderr.fileno())
            yield from _until_end(running)

    @contextmanager
    def on_terminal(self, *words: str) -> Iterator[Running]:
        """Start a command on a terminal, 160 columns wide."""
        ours, theirs = pty.openpty()
        env = environment({"COLUMNS": "160", "LINES": "50", "TERM": "xterm-256color"})
        process = subprocess.Popen(
            [*COMMAND, *words], cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
        os.close(theirs)
        yield from _until_end(Running(process, ours, None))
        os.close(ours)


def _until_end(running: Running) -> Iterator[Running]:
    try:
        yield running
    finally:
        running.process.kill()
        running.end()


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: it finds the rooms of this checkout wherever it runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}


def ended_job(
    served: Served, task_id: str = "T1", status: Status = Status.FINISH, exit_code: int | None = 0, attempts: int = 1
) -> str:
    """Make a job that wrote on both streams and has ended."""
    served.create(task_id)
    for attempt in range(1, attempts + 1):
        served.do(served.desk.begin, task_id)
        for data, stream in ((b"one %d\n" % attempt, "stdout"), (b"two\xff\n", "stderr"), (b"three", "stdout")):
            served.do(served.desk.write, task_id, data, stream)
        last = attempt == attempts
        served.do(served.desk.end, task_id, status if last else Status.QUEUED, exit_code=exit_code if last else 3)
    return task_id
