"""A node of test children whose settings come from a file that tests edit."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from job_item.state import StateFolder
from tests.children import trace_of
from tests.conftest import eventually
from tests.parents import Node


class Reloading(Node):
    """A node with a file `config.yaml`; the state folder is beside it."""

    def __init__(self, folder: Path, settings: dict[str, Any], **options: Any) -> None:
        self.config = folder / "config.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        self.settings: dict[str, Any] = {"api": {"port": 0}, "log": {"format": "json"}, **settings}
        self.config.write_text(yaml.safe_dump(self.settings))
        super().__init__(folder / ".job_item", config=str(self.config), **options)

    def edit(self, **changes: Any) -> float:
        """Rename a new file over the old one; a value None takes the setting away. Returns the moment."""
        for key, value in changes.items():
            if value is None:
                self.settings.pop(key, None)
            else:
                self.settings[key] = value
        self.write(yaml.safe_dump(self.settings))
        return time.time()

    def write(self, text: str) -> None:
        draft = self.config.with_name("config.yaml.new")
        draft.write_text(text)
        draft.replace(self.config)

    def applied(self, number: int = 1) -> dict[str, Any]:
        """The line of the n-th reload that took effect."""
        lines = eventually(lambda: self.logged("settings.applied")[number - 1 :], within_s=60, what=f"applied {number}")
        return lines[0]

    def rejected(self, number: int = 1) -> dict[str, Any]:
        lines = eventually(
            lambda: self.logged("settings.rejected")[number - 1 :], within_s=60, what=f"rejected {number}"
        )
        return lines[0]

    def order(self, **order: Any) -> str:
        """Let the job child give an order; what it was answered."""
        number = order["number"]
        draft = self.state_dir / "order.new"
        draft.write_text(json.dumps(order))
        draft.replace(self.state_dir / "order")
        rows = eventually(
            lambda: [row for row in self.trace("worker", "answer") if row[1] == str(number)],
            within_s=60,
            what="an answer",
        )
        return " ".join(rows[0][2:])

    def url(self) -> str:
        info = StateFolder(self.state_dir).read_node()
        assert info is not None
        return info.url

    def is_at(self, url: str) -> bool:
        return self.url() == url

    def token(self) -> str | None:
        info = StateFolder(self.state_dir).read_node()
        return info.token if info else None

    def has_adopted(self, number: int) -> bool:
        """Whether both children have taken over so many versions."""
        return len(self.trace("execs", "adopted")) == len(self.trace("worker", "adopted")) == number

    def is_ready_at(self, state_dir: Path, room: str) -> bool:
        return any(line.startswith(f"{room} ") and line.endswith(" ready") for line in trace_of(state_dir))


JOBS = [{"event": "hello", "cmd": "true"}]
EXECS = [{"key": "sample", "cmd": "true"}]
Start = Callable[..., Reloading]


@contextmanager
def starting(tmp_path: Path) -> Iterator[Start]:
    """Start nodes; nothing of them is left behind."""
    nodes: list[Reloading] = []

    def begin(settings: dict[str, Any] | None = None, **options: Any) -> Reloading:
        nodes.append(Reloading(tmp_path / f"node-{len(nodes)}", settings or {}, **options))
        return nodes[-1]

    yield begin
    for node in nodes:
        node.destroy()


def stop(node: Reloading) -> None:
    node.signal(signal.SIGTERM)
    assert node.end() == 0
    assert "Traceback" not in node.told()
