"""Started with standard descriptors closed, as in `job_item 2>&-`: no file of the node takes their place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.nodes import Node

CONFIG = """
api: {port: 0}
jobs:
  - {event: hello, cmd: "echo hello; echo oops >&2"}
"""
CLOSED = 'exec "$@" 0<&- 1>&- 2>&-'


class ClosedNode(Node):
    """A node that is started with its standard descriptors closed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {})
        self.log.touch()

    def start(self, *, ready: bool = True) -> None:
        self.process = subprocess.Popen(
            ["sh", "-c", CLOSED, "sh", sys.executable, "-m", "supervisor", "--config", self.folder / "config.yaml"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        if ready:
            self.await_ready()


def test_a_node_without_standard_descriptors_has_the_null_device_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    node = ClosedNode(tmp_path)
    try:
        node.start()
        for pid in (node.pid, node.child_pid("worker")):
            assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} == {os.devnull}
        task_id = node.submit("hello")
        assert node.await_status(task_id)["status"] == "finish"
        assert sorted(node.output(task_id).split()) == [b"hello", b"oops"]
        assert (node.state / "node.lock").read_text().strip() == str(node.pid)
        assert node.stop() == 0
    finally:
        node.destroy()


@pytest.mark.parametrize("words", [("errors",), ("check",), ("status",), ("no-such-command",)])
def test_a_command_without_standard_descriptors_ends_as_it_would_with_them(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").touch()
    command = [sys.executable, "-m", "supervisor", *words]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    closed = subprocess.run(["sh", "-c", CLOSED, "sh", *command], cwd=tmp_path, env=environ, check=False)
    whole = subprocess.run(command, cwd=tmp_path, env=environ, check=False, capture_output=True)
    assert closed.returncode == whole.returncode
