"""Nodes whose children are told by tests how to behave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.children import is_alive, trace_of
from tests.conftest import ROOT, eventually

PROGRAM = "import sys; from tests.children import main; sys.exit(main())"
EXECS = [{"key": "sample", "cmd": "true"}]
QUICK_BEATS = {"interval": 0.05, "timeout": 4}
"""Silence that is soon too long, and not on a busy machine: a child is to be born in that time, too."""


NO_BEATS = {"interval": 5, "timeout": 600}
"""For children that never beat: they are not hung."""


class Node:
    """A node in a process of its own."""

    def __init__(self, state_dir: Path, **options: Any) -> None:
        self.state_dir = state_dir
        self.mark = f"JOB_ITEM_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = state_dir.parent / f"{state_dir.name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(state_dir), json.dumps(options)],
                cwd=ROOT,
                env={**os.environ, name: value},
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def trace(self, room: str, word: str) -> list[list[str]]:
        """What children of a room have noted under a word: pid and the words after it."""
        rows = [line.split() for line in trace_of(self.state_dir)]
        return [[pid, *rest] for who, pid, said, *rest in rows if (who, said) == (room, word)]

    def births(self, room: str = "worker") -> list[int]:
        return [int(pid) for pid, *_ in self.trace(room, "born")]

    def ready(self, births: int = 1, room: str = "worker") -> int:
        """The pid of the n-th child of a room that has become ready, once it is known as such."""
        pids = eventually(lambda: self.trace(room, "ready")[births - 1 :], within_s=60, what=f"{room} {births} ready")
        pid = int(pids[0][0])
        eventually(
            lambda: self.logged("child.ready", child=room, pid=pid), within_s=60, what=f"{room} {pid} known as ready"
        )
        return pid

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event and fields.items() <= line.items()]

    def events(self) -> list[str]:
        """The names of all log lines, in their order."""
        return [json.loads(line)["event"] for line in self._log.read_text().splitlines() if line.startswith("{")]

    def told(self) -> str:
        """All that stands in the log and is no log line: traces, warnings, words for people."""
        return "\n".join(line for line in self._log.read_text().splitlines() if not line.startswith("{"))

    def processes(self) -> dict[int, str]:
        """All living processes that come from this node, with their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if not entry.name.isdigit() or not is_alive(int(entry.name)):
                    continue
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def destroy(self) -> None:
        """Leave none of its processes."""
        while left := self.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate(timeout=60)

    def end(self, within_s: float = 60.0) -> int:
        """The exit code; nothing of the node may be left by then."""
        code = self.process.wait(within_s)
        eventually(lambda: not self.processes(), within_s=60.0, what=f"nothing left: {self.processes()}")
        return code


Start = Callable[..., Node]


@contextmanager
def starting(tmp_path: Path) -> Iterator[Start]:
    """Start nodes, each on a state folder of its own unless one is named; nothing of them is left behind."""
    nodes: list[Node] = []

    def begin(worker: str = "worker", *, at: Path | None = None, **options: Any) -> Node:
        nodes.append(Node(at or tmp_path / f"state-{len(nodes)}", worker=worker, **options))
        return nodes[-1]

    yield begin
    for node in nodes:
        node.destroy()


def ask(url: str, words: bytes = b"who") -> int:
    """What the child behind the API's socket answers: its pid."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(words)
        return int(connection.recv(100) or 0)
