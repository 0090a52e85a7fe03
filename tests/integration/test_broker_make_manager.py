"""`make manager`: one command starts a broker, the manager and a node; Ctrl-C ends all three."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers.servers import find
from tests.conftest import ROOT, eventually
from tests.jobmanager import JobManager
from tests.nodes import is_alive, tree_of


@pytest.mark.parametrize("broker", ["nats", "redis", "rabbitmq"])
def test_one_command_starts_all_and_ctrl_c_ends_all(
    tmp_path: Path, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(f"{broker}-server", "/usr/lib/rabbitmq/bin")
    monkeypatch.setenv("BROKER", broker)
    told = tmp_path / "told"
    with told.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.stage", str(tmp_path / "folder")], cwd=ROOT, stdout=out
        )
    try:
        eventually(lambda: "Ctrl-C ends" in told.read_text(), within_s=200)
        url, password = re.findall(r"http://127.0.0.1:(\d+).*password (\S+)", told.read_text())[0]
        manager = JobManager.reach(int(url), password)
        task = eventually(lambda: manager.create("hello", {"name": "world"}), within_s=60)
        assert manager.await_status(task)["status"] == "finish"
        assert manager.output(task) == b"hello world\n"
        assert manager.ask("GET", "/")[1].startswith(b"<!doctype html>")
        all_of_it = tree_of(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
        eventually(lambda: not any(map(is_alive, all_of_it)), within_s=60)
    finally:
        process.terminate()  # it ends all three; killed, it would leave them behind
        process.wait(120)
