"""The log of an exec of a real node, followed live: over rotations, restarts and the death of the job child."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.state import exec_log
from supervisor.client import Client
from supervisor.follow import News, follow_exec
from tests.conftest import eventually
from tests.nodes import Node, running

LINES = 6_000_000
"""Of about 8 bytes each: the log is rotated more than once."""


def spec(key: str, cmd: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "name": key, "cmd": cmd, **more}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    flood = f"echo begin; while [ ! -e go ]; do sleep 0.02; done; seq 1 {LINES}; echo end; exec sleep 600"
    execs = [spec("a/b ü", "echo born $$; exec sleep 600"), spec("flood", flood)]
    with running(tmp_path, {"execs": execs}) as node:
        yield node


def output(news: Iterator[News]) -> Iterator[bytes | None]:
    """The output, None for a gap."""
    for item in news:
        if item.name == "output":
            yield item.output
        elif item.name == "gap":
            yield None


def until(stream: Iterator[bytes | None], end: bytes) -> list[bytes]:
    """Read until the output ends so; pieces that a gap divides stand apart."""
    pieces = [bytearray()]
    for item in stream:
        if item is None:
            pieces.append(bytearray())
        else:
            pieces[-1] += item
            if pieces[-1].endswith(end):
                return [bytes(piece) for piece in pieces]
    raise AssertionError("the stream has ended")


def test_an_exec_is_followed_over_the_deaths_of_itself_and_of_the_job_child(node: Node) -> None:
    client = Client(node.state)
    stream = output(follow_exec(client, "a/b ü"))
    first = until(stream, b"\n")[0]
    pid = int(first.split()[1])
    os.kill(node.child_pid("worker"), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    (second,) = until(stream, b"\n")
    assert second.startswith(b"born ")
    assert int(second.split()[1]) != pid
    assert exec_log(node.state, "a/b ü").read_bytes() == first + second
    assert b"".join(client.exec_log("a/b ü", lines=1)) == second


def test_a_flood_is_followed_over_rotations_without_a_gap_that_is_not_told(node: Node) -> None:
    stream = output(follow_exec(Client(node.state), "flood"))
    assert until(stream, b"begin\n") == [b"begin\n"]
    (node.folder / "go").touch()
    pieces = until(stream, b"end\n")
    path = exec_log(node.state, "flood")
    eventually(lambda: Path(f"{path}.1").exists(), what="the log is rotated")
    reached = 0
    for index, piece in enumerate(pieces):
        numbers = [int(line) for line in piece.removesuffix(b"end\n").split(b"\n")[:-1] if line.isdigit()]
        whole = numbers if index == 0 else numbers[1:]  # a gap may end within a line
        if not whole:  # who reads slowly meets one gap after the other
            continue
        assert whole == list(range(whole[0], whole[0] + len(whole)))
        assert whole[0] > reached
        reached = whole[-1]
    assert reached == LINES
    assert len(pieces) > 1 or pieces[0].startswith(b"1\n2\n")
