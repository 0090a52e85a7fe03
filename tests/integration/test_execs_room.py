"""The execs child over its link: orders, new settings, the ways to its end."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import multiprocess
import pytest

from execs.app import main
from job_item.link import (
    Adopt,
    Adopted,
    Cancel,
    ChildStart,
    Drain,
    Drained,
    ExecState,
    ExecStates,
    Link,
    Ready,
    Retire,
    StopNode,
    Swept,
)
from job_item.orders import Answer, ExecOrder, Refusal
from job_item.settings import Settings
from tests.conftest import eventually
from tests.orphans import helpers_with, new_mark, processes_with

Found = TypeVar("Found")

FREE = "for s in TERM INT; do trap 'echo {0} >> ended; exit 0' $s; done; echo up; while :; do sleep 0.01; done"


def spec(key: str, cmd: str = "exec sleep 600", **more: Any) -> dict[str, Any]:
    return {"key": key, "cmd": cmd, **more}


class Child:
    """An execs child; the test is its parent."""

    def __init__(self, folder: Path, execs: list[dict[str, Any]]) -> None:
        self.folder = folder
        self.start = ChildStart(
            settings=Settings.model_validate({"execs": execs, "log": {"format": "json"}}),
            config_path=folder / "config.yaml",
            state_dir=folder / "state",
            work_dir=folder,
            identity="node",
            incarnation="one",
            dotenv={},
            base_url="http://127.0.0.1:1",
            supervisor_pid=os.getpid(),
            started_at=0.0,
        )
        context = multiprocess.get_context("spawn")
        ours, theirs = context.Pipe()
        self.process = context.Process(target=main, args=(self.start, theirs))
        self.process.start()
        theirs.close()
        self._connection = ours
        self.link: Link[Any, Any] = Link(ours)
        self.heard: list[Any] = []
        self.states: dict[str, ExecState] = {}

    def listen(self) -> None:
        """Take what has come."""
        while self._connection.poll(0):
            message = self.link.receive()
            if message is None:
                return
            self.heard.append(message)
            if isinstance(message, ExecStates):
                self.states = {state.key: state for state in message.execs}

    def until_true(self, look: Callable[[], Found]) -> Found:
        """Listen until `look` gives something true."""

        def listen_and_look() -> Found:
            self.listen()
            return look()

        return eventually(listen_and_look, within_s=60, what=f"states: {self.states}, heard: {self.heard}")

    def until(self, kind: type) -> Any:
        """Wait for a message of a kind."""
        return self.until_true(lambda: [message for message in self.heard if isinstance(message, kind)])[-1]

    def until_state(self, key: str, state: str) -> ExecState:
        """Wait for a state of an exec."""
        self.until_true(lambda: key in self.states and self.states[key].state == state)
        return self.states[key]

    def adopt(self, digest: str, execs: list[dict[str, Any]]) -> None:
        """Send new settings."""
        settings = Settings.model_validate({"execs": execs, "log": {"format": "json"}})
        self.link.send(Adopt(pickle.dumps(replace(self.start, settings=settings, digest=digest))))


@contextmanager
def child(folder: Path, execs: list[dict[str, Any]], *, is_swept: bool = True) -> Iterator[Child]:
    """An execs child that is ready, for as long as the context lasts."""
    made = Child(folder, execs)
    try:
        made.until(Ready)
        if is_swept:
            made.link.send(Swept())
        yield made
    finally:
        made.link.close()
        made.process.join(60)
        made.process.kill()
        made.process.join()


def test_orders_are_answered_by_their_number(tmp_path: Path) -> None:
    with child(tmp_path, [spec("one")]) as room:
        room.until_state("one", "running")
        room.link.send(ExecOrder(7, "one", "stop"))
        assert room.until(Answer) == Answer(7)
        room.until_state("one", "stopped")
        room.link.send(ExecOrder(8, "none", "stop"))
        eventually(lambda: room.until(Answer).number == 8)
        answer = room.until(Answer)
        assert isinstance(answer.content, Refusal)
        assert (answer.content.code, answer.content.message) == ("ERR-EXE-011", "There is no exec 'none'.")


def test_new_settings_are_answered_with_their_digest_and_states_are_told_only_when_they_change(tmp_path: Path) -> None:
    with child(tmp_path, [spec("one"), spec("gone")]) as room:
        one = room.until_state("one", "running").pid
        room.until_state("gone", "running")
        room.adopt("d1", [spec("one", attempt=5), spec("new")])
        assert room.until(Adopted) == Adopted("d1")
        room.until_state("new", "running")
        room.until_true(lambda: set(room.states) == {"one", "new"})
        assert room.states["one"].pid == one
        told = [message for message in room.heard if isinstance(message, ExecStates)]
        assert all(before != after for before, after in pairwise(told))
        room.adopt("d2", [spec("one", attempt=5), spec("new")])
        eventually(lambda: room.until(Adopted).digest == "d2")
        assert [message for message in room.heard if isinstance(message, ExecStates)] == told


def test_settings_that_come_before_the_sweep_are_the_first_to_be_run(tmp_path: Path) -> None:
    with child(tmp_path, [spec("old", "echo old >> ran; exec sleep 600")], is_swept=False) as room:
        room.adopt("d1", [spec("new", "echo new >> ran; exec sleep 600")])
        room.until(Adopted)
        room.link.send(Swept())
        eventually(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "new\n")


@pytest.mark.parametrize("end", [Drain(60.0), Retire()])
def test_all_execs_end_in_reverse_order_when_the_room_is_to_end(end: Drain | Retire, tmp_path: Path) -> None:
    execs = [spec("db", FREE.format("db"), ready={"log": "up"})]
    execs += [spec(key, FREE.format(key), ready={"log": "up"}, depends_on=["db"]) for key in ("app1", "app2")]
    execs += [spec("web", FREE.format("web"), ready={"log": "up"}, depends_on=["app1", "app2"])]
    with child(tmp_path, execs) as room:
        room.until_true(lambda: "web" in room.states and room.states["web"].ready)
        room.link.send(end)
        room.until(Drained)
        room.process.join(60)
        assert room.process.exitcode == 0
        ended = (tmp_path / "ended").read_text().split()
        assert (ended[0], set(ended[1:3]), ended[3]) == ("web", {"app1", "app2"}, "db")


def test_the_drain_is_bounded_also_for_a_chain_of_deaf_execs(tmp_path: Path) -> None:
    mark = new_mark()
    deaf = f"trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep {mark}; :' &); sleep {mark}; :"
    execs = [spec("a", deaf, stop_grace=0.2), spec("b", deaf, stop_grace=0.2, depends_on=["a"])]
    execs += [spec("c", deaf, stop_grace=0.2, depends_on=["b"]), spec("d", deaf, stop_grace=0.5, depends_on=["c"])]
    with child(tmp_path, execs) as room:
        eventually(lambda: len(helpers_with(mark)) == 8)  # all shells are deaf by then
        room.link.send(Drain(0.0))
        room.until(Drained)
        assert processes_with(mark) == []


def test_the_second_request_ends_all_together(tmp_path: Path) -> None:
    loop = "echo up; while :; do sleep 0.01; done"
    # It ends only when the one that it depends on has been asked, too: in order that would be after its whole grace.
    web = f"trap 'echo web >> asked; until grep -q db asked; do sleep 0.01; done; exit 0' TERM; {loop}"
    execs = [
        spec("db", f"trap 'echo db >> asked; exit 0' TERM; {loop}", stop_grace=200),
        spec("web", web, stop_grace=200, depends_on=["db"]),
    ]
    with child(tmp_path, execs) as room:
        room.until_state("web", "running")
        eventually(lambda: all((tmp_path / "state" / "execs" / f"{key}.log").exists() for key in ("db", "web")))
        room.link.send(Drain(300.0))
        eventually(lambda: (tmp_path / "asked").read_text() == "web\n")
        room.link.send(Cancel())
        room.until(Drained)
        assert (tmp_path / "asked").read_text().split() == ["web", "db"]


def test_the_end_of_the_link_is_the_end_of_all(tmp_path: Path) -> None:
    mark = new_mark()
    health = {"cmd": f"sleep {mark}; :", "timeout": 60}
    with child(tmp_path, [spec("one", f"(setsid sleep {mark} &); sleep {mark}; :", health=health)]):
        eventually(lambda: len(helpers_with(mark)) == 3)  # two of the exec, one of its probe
    eventually(lambda: not processes_with(mark))


def test_the_node_is_asked_to_stop_once_an_exec_with_cascade_exit_is_down_for_good(tmp_path: Path) -> None:
    execs = [spec("vital", "exit 3", cascade_exit=True, attempt=2, backoff=0.01), spec("other")]
    with child(tmp_path, execs) as room:
        assert room.until(StopNode) == StopNode(76, "exec vital is down and has cascade_exit")
        assert (tmp_path / "state" / "execs").exists() is False  # it has written nothing
        failed = room.until_state("vital", "failed")
        assert (failed.attempts, failed.exit_code) == (2, 3)
        assert room.until_state("other", "running").pid is not None
