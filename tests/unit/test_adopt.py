"""Taking new settings over: in their order, all of one or nothing of it, and no more once the child is taken apart."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any, cast

import pytest

from job_item import log
from job_item.link import Adopted, ToParent
from job_item.room import Room
from job_item.settings import Settings
from tests.boards import board, start_with
from tests.journals import in_loop
from worker.adopt import Adopter
from worker.standing import Standing


class Ear:
    """Hears what the adopter says and does (`job_item.room.Room`)."""

    def __init__(self) -> None:
        self.board = board()
        self.said: list[ToParent] = []
        self.followed: list[float] = []
        self.bugs: list[BaseException] = []
        self.acts: list[tuple[float, float]] = []
        self.adopter = Adopter(self.board, cast(Room, self), self.bugs.append)
        self.adopter.act = self.act

    def say(self, message: ToParent) -> None:
        self.said.append(message)

    def follow(self, settings: Settings) -> None:
        self.followed.append(settings.drain_grace)

    def act(self, before: Standing) -> None:
        self.acts.append((before.settings.drain_grace, self.board.standing.settings.drain_grace))

    async def done(self) -> None:
        while (task := self.adopter._task) is not None and not task.done():
            await asyncio.wait({task})


def packed(drain_grace: float, **settings: Any) -> bytes:
    wish = Settings.model_validate({"drain_grace": drain_grace, **settings})
    return pickle.dumps(start_with(Path("/nowhere"), wish, digest=f"d{drain_grace:g}"))


@in_loop
async def test_settings_come_into_force_in_their_order_and_each_is_answered() -> None:
    ear = Ear()
    for grace_s in (1.0, 2.0, 3.0):
        ear.adopter.take(packed(grace_s))
    await ear.done()
    assert ear.said == [Adopted("d1"), Adopted("d2"), Adopted("d3")]
    assert ear.followed == [1.0, 2.0, 3.0]
    assert ear.acts == [(30.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    assert ear.bugs == []


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(7)])
@in_loop
async def test_what_cannot_be_taken_over_is_a_bug_and_changes_nothing(content: bytes) -> None:
    ear = Ear()
    before = ear.board.standing
    ear.adopter.take(content)
    ear.adopter.take(packed(1.0))
    await ear.done()
    assert len(ear.bugs) == 1
    assert ear.board.standing is before
    assert (ear.said, ear.followed, ear.acts) == ([], [], [])


@in_loop
async def test_the_log_is_set_up_before_what_it_must_hide_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = Ear()
    hidden: list[tuple[bool, set[str]]] = []

    def configure(settings: object, *, secrets: tuple[str, ...], **_: object) -> None:
        hidden.append((bool(ear.acts), set(secrets)))

    monkeypatch.setattr(log, "configure", configure)
    ear.adopter.take(packed(1.0, jobs=[{"event": "a", "cmd": "true", "env": {"TOKEN": "first-one"}}]))
    await ear.done()
    ear.adopter.take(packed(2.0, jobs=[{"event": "a", "cmd": "true", "env": {"TOKEN": "other-one"}}]))
    await ear.done()
    ear.adopter.take(packed(3.0, jobs=[{"event": "a", "cmd": "false", "env": {"TOKEN": "other-one"}}]))
    await ear.done()
    assert hidden == [(False, {"first-one"}), (True, {"first-one", "other-one"})]
    assert ear.acts == [(30.0, 1.0), (1.0, 2.0), (2.0, 3.0)]


@in_loop
async def test_a_child_that_is_taken_apart_takes_nothing_over() -> None:
    ear = Ear()
    before = ear.board.standing
    ear.adopter.take(packed(1.0))
    ear.adopter.stop()
    ear.adopter.take(packed(2.0))
    await ear.done()
    assert ear.board.standing is before
    assert (ear.said, ear.bugs) == ([], [])
