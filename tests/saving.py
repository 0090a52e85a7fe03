"""`job_item save` for tests: run to its end, or with both its ends in our hands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.conftest import eventually
from tests.managers import Manager
from tests.terminal import COMMAND, Ended, Shell, Tap, environment

_PROGRAM = """
import sys
from supervisor import saving
from supervisor.entry import main
saving.GRACE_S = {grace_s}
sys.exit(main())
"""


def with_grace(grace_s: float) -> list[str]:
    """The command with another time after a signal."""
    return [sys.executable, "-c", _PROGRAM.format(grace_s=grace_s), "save"]


PATIENT = with_grace(60)
"""A busy machine needs seconds to load what sends."""


def save(shell: Shell, manager: Manager, stdin: bytes, *words: str, **env: str) -> Ended:
    return shell.run("save", *words, stdin=stdin, env={**manager.variables(), **env})


class Pipe:
    """`job_item save` with both its ends in our hands."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.process = process
        self.stdin = process.stdin
        self.out = Tap(process.stdout.fileno())
        self.err = Tap(process.stderr.fileno())

    def feed(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def shows(self, data: bytes) -> None:
        eventually(lambda: bytes(self.out.taken) == data, what=f"{data!r} is shown")

    def end(self) -> int:
        self.stdin.close()
        return self.process.wait(60)


@contextmanager
def piped(manager: Manager, *words: str, command: Sequence[str] = (*COMMAND, "save"), **env: str) -> Iterator[Pipe]:
    process = subprocess.Popen(
        [*command, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment({**manager.variables(), **env}),
    )
    pipe = Pipe(process)
    try:
        yield pipe
    finally:
        process.kill()
        process.wait()
        pipe.out.finish()
        pipe.err.finish()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream
            stream.close()
