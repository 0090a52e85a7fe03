"""Random edits of the configuration, valid and invalid, while jobs run: the valid ones are in force, no others."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from tests.conftest import eventually
from tests.nodes import Node, running

EDITS = {"quick": 60, "night": 2000}
STEADY = {"key": "steady", "cmd": "exec sleep 100000"}
"""An exec that no edit touches."""
NOISE = ("", "# only a comment\n", "jobs: [", "jobs: 7\n", "colour: red\n", "limits: {concurrency: many}\n", "\x00")
BROKEN_JOB = {"event": "broken", "cmd": "cat <<X\n{{name}}\nX"}


class Editor:
    """Somebody who edits a file in every way there is; `valid` is the newest good content."""

    def __init__(self, node: Node, valid: dict[str, Any], chance: random.Random) -> None:
        self._node = node
        self._chance = chance
        self.valid = valid
        self.file = node.folder / "config.yaml"
        self._last = ""

    def edit(self) -> bool:
        """One edit; whether the new content is valid."""
        if self._chance.random() < 0.3:
            broken = yaml.safe_dump({**self.valid, "jobs": [BROKEN_JOB]})
            self._save(self._chance.choice([text for text in (*NOISE, broken) if text != self._last]))
            return False
        self.valid = self._changed()
        self._save(yaml.safe_dump(self.valid))
        return True

    def _changed(self) -> dict[str, Any]:
        number = self._chance.randrange(1000)
        key = self._chance.choice(["jobs", "execs", "limits", "keep", "log", "sync", "drain_grace", "nothing"])
        new: dict[str, Any] = {
            "jobs": [self.valid["jobs"][0], {"event": "other", "cmd": f"exit {number % 3}"}],
            "execs": [STEADY, {"key": "restless", "cmd": f"exec sleep {1000 + number}"}][: 1 + number % 2],
            "limits": {"concurrency": 2 + number % 4},
            "keep": {"days": 1 + number % 5},
            "log": {"format": "json", "level": ("INFO", "DEBUG")[number % 2]},
            "sync": ("normal", "full")[number % 2],
            "drain_grace": 60 + number % 5,
        }
        return {**self.valid, key: new[key]} if key in new else dict(self.valid)

    def _save(self, text: str) -> None:
        self._last = text
        ways: tuple[Callable[[str], object], ...] = (self.file.write_text, self.write, self._remove_first)
        way = self._chance.choice(ways)
        way(text)

    def write(self, text: str) -> None:
        draft = self.file.with_name(".config.yaml.swp")
        draft.write_text(text)
        draft.replace(self.file)

    def _remove_first(self, text: str) -> None:
        self.file.unlink()
        self.file.write_text(text)


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_random_edits_under_load(tier: Literal["quick", "night"], tmp_path: Path) -> None:
    settings = {
        "jobs": [{"event": "note", "cmd": "echo $JOB_ITEM_TASK_ID >> ran; sleep 0.02"}],
        "execs": [STEADY],
        "limits": {"concurrency": 2},
        "log": {"format": "json"},
        "api": {"port": 0},
    }
    with running(tmp_path, settings) as node:
        steady = eventually(partial(_exec_pid, node, "steady"))
        editor = Editor(node, settings, random.Random(9))
        load = Load(node)
        load.start()
        try:
            for _ in range(EDITS[tier]):
                seen = node.log.stat().st_size
                is_valid = editor.edit()
                words = ("settings.applied", "settings.unchanged") if is_valid else ("settings.rejected",)
                eventually(partial(_said, node, seen, *words), within_s=60, what=editor.file.read_text())
                assert is_valid or not _said(node, seen, "settings.applied")
                # A job child that was replaced hears of the execs a moment after it has begun to answer.
                assert eventually(partial(_exec_pid, node, "steady")) == steady
        finally:
            load.stop()
        in_force = _digest(node, editor)
        eventually(lambda: _open_jobs(node) == 0, within_s=120)
        assert {node.job(task_id)["status"] for task_id in load.accepted} == {"finish"}
        assert sorted((tmp_path / "ran").read_text().split()) == sorted(load.accepted)
        execs = {row["key"] for row in editor.valid["execs"]}
        eventually(lambda: _exec_keys(node) == execs)
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text()
    with running(tmp_path, editor.valid) as fresh:
        assert _digest(fresh, Editor(fresh, editor.valid, random.Random(1))) == in_force
        eventually(lambda: _exec_keys(fresh) == execs)


class Load(threading.Thread):
    """Creates jobs without end; a request that got no answer is sent again, as a client would."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node
        self._done = threading.Event()
        self.accepted: list[str] = []

    def run(self) -> None:
        while not self._done.wait(0.02):
            with suppress(OSError, http.client.HTTPException, AssertionError):
                self._node.submit("note", task_id=f"job-{len(self.accepted)}")
                self.accepted.append(f"job-{len(self.accepted)}")

    def stop(self) -> None:
        self._done.set()
        self.join()


def _said(node: Node, seen: int, *events: str) -> list[dict[str, Any]]:
    """The lines of these events that were written behind a place in the log."""
    with node.log.open("rb") as log:
        log.seek(seen)
        lines = [json.loads(line) for line in log.read().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    return [line for line in lines if line["event"] in events]


def _digest(node: Node, editor: Editor) -> str:
    """What is in force once the newest good content stands in the file."""
    seen = node.log.stat().st_size
    editor.write(yaml.safe_dump(editor.valid))
    lines = eventually(partial(_said, node, seen, "settings.unchanged", "settings.applied"), within_s=60)
    digest: str = lines[-1]["digest"]
    return digest


def _exec_pid(node: Node, key: str) -> int | None:
    rows = node.get("/execs")[1]["execs"]
    return next((row["pid"] for row in rows if row["key"] == key), None)


def _exec_keys(node: Node) -> set[str]:
    return {row["key"] for row in node.get("/execs")[1]["execs"]}


def _open_jobs(node: Node) -> int:
    """Both counts of one moment: a job may go back from running to queued."""
    counts = node.health()["counts"]
    return int(counts["queued"] + counts["running"])
