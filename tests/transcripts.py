"""Pages whose blocks are what a terminal shows: commands after `$ ` and what they print.

Ids, moments, durations, ports, process ids and host names differ from run to run and are not compared; `...` on a line
of its own stands for any lines.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from job_item.state import StateFolder
from tests.conftest import eventually
from tests.terminal import Tap

BIN = Path(sys.executable).parent
_STEP = "\x1d"
"""What the shell prints between two commands; no command of a page does."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the mark before it."""

    line: int
    mark: str
    language: str
    text: str


@dataclass(frozen=True)
class Step:
    """One command of a block and what it is said to print."""

    command: str
    prints: str

    def matches(self, printed: str) -> bool:
        """Whether it printed that."""
        pattern = "".join(
            r"(?:.*\n)*?" if line == "...\n" else re.escape(line)
            for line in lasting(self.prints).splitlines(keepends=True)
        )
        return re.fullmatch(pattern, lasting(printed)) is not None


_FLEETING = (
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"\b\d\d:\d\d:\d\d\b", "MOMENT"),
    (r"\b\d+(?:\.\d+)? (?:ms|s)\b", "DURATION"),
    (r"\([0-9a-f]{12}\)", "DIGEST"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\b[1-9]\d{2,}\b", "NUMBER"),
    (r"(?m)^/\S+/", "FOLDER/"),
    (r"(?<=^Hello from )[^ ,]+|(?<=\nHello from )[^ ,]+", "HOST"),
    (r"(?m) +$", ""),
    (r" +", " "),
)


def lasting(text: str) -> str:
    """`text` without what differs from run to run."""
    for pattern, name in _FLEETING:
        text = re.sub(pattern, name, text)
    return text


def shown(raw: str) -> str:
    """What a terminal shows after all of `raw` has come: no attributes, and of overwritten lines the last state."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", raw.replace("\r\n", "\n")).split("\n")
    return re.sub(r"(?m) +$", "", "\n".join(line.rpartition("\r")[2] for line in lines))


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of `page`."""
    text = page.read_text()
    found = re.finditer(r"^(?:<!-- ([^>]+) -->\n)?```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(text.count("\n", 0, one.start(3)) + 1, one[1] or "", one[2], one[3]) for one in found]


def steps(block: Block) -> list[Step]:
    """The commands of a block of the language `console`."""
    found = re.findall(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", block.text, flags=re.MULTILINE)
    return [Step(command.replace("\n> ", "\n"), prints) for command, prints in found]


def play(block: Block, folder: Path, env: dict[str, str] | None = None) -> list[tuple[Step, str]]:
    """Type the commands of `block` in one bash, on a terminal of 100 columns; gives each with what it printed."""
    todo = steps(block)
    typed = "".join(f"{step.command}\ncode=$?; printf '{_STEP}'; (exit $code)\n" for step in todo)
    ours, theirs = pty.openpty()
    surroundings = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    terminal = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100", "LINES": "50"}
    process = subprocess.Popen(
        ["bash", "-c", typed],
        cwd=folder,
        env=surroundings | terminal | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    tap = Tap(ours)
    try:
        process.wait(timeout=180)
    finally:
        process.kill()
        process.wait()
    printed = shown(tap.finish().decode()).split(_STEP)
    os.close(ours)
    assert len(printed) == len(todo) + 1, printed
    return list(zip(todo, printed[:-1], strict=True))


@contextmanager
def node_in(folder: Path, start: str = "job_item") -> Iterator[Path]:
    """A node that lines of bash start in `folder`, ready; gives its log. At the end it must stop well on Ctrl-C."""
    log = folder / "node.log"
    lines = re.sub(r"(?m)^job_item$", "exec job_item", start)
    with log.open("wb") as output:
        node = subprocess.Popen(
            ["bash", "-ec", lines],
            cwd=folder,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def is_ready() -> bool:
        assert node.poll() is None, log.read_text()
        known = StateFolder(folder / ".job_item").read_node()
        try:
            with urllib.request.urlopen(f"{known.url if known else ''}/readyz", timeout=20) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    try:
        eventually(is_ready, within_s=90, what="the node is ready")
        yield log
        node.send_signal(signal.SIGINT)
        assert node.wait(timeout=90) == 0, log.read_text()
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()


def differences(played: list[tuple[Step, str]]) -> str:
    """What the commands printed and the page does not say; empty where all is as written."""
    return "\n".join(
        f"$ {step.command}\n--- page:\n{step.prints}--- printed:\n{printed}"
        for step, printed in played
        if not step.matches(printed)
    )
