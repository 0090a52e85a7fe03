"""The control subjects: which tasks are listened to, and what a message does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.journals import in_loop
from tests.unit.test_session import tell, until
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.session import Session
from worker.controls import Controls
from worker.sources.trigger import Action


@dataclass
class Post:
    """Controls at work, and what they were told."""

    hub: Hub
    controls: Controls
    acts: list[tuple[str, Action]]

    def subjects(self) -> set[str]:
        """What is subscribed."""
        return {subscription.subject for life in self.hub.lives for subscription in life.subscriptions}

    async def ask(self, task_id: str, action: str) -> None:
        await tell(self.hub, f"{task_id}_worker", json.dumps({"task_id": task_id, "action": action}).encode())


@asynccontextmanager
async def listening(most: int, *, is_dear: bool = False) -> AsyncIterator[Post]:
    hub, acts = Hub(), list[tuple[str, Action]]()
    broker = EmbeddedBroker(hub)
    broker.is_dear = is_dear
    session = Session(broker, 60.0)
    session.start()
    await session.connected()

    async def act(task_id: str, action: Action) -> None:
        acts.append((task_id, action))

    controls = Controls(session, "P", act)
    controls.waiting_max = most
    try:
        yield Post(hub, controls, acts)
    finally:
        await controls.settle()
        await session.stop()


@in_loop
async def test_of_many_that_wait_the_next_is_listened_to_when_one_has_ended() -> None:
    async with listening(2) as post:
        for task_id in ("a", "b", "c", "d"):
            post.controls.wait_with(task_id)
        await post.controls.confirmed("b", 60.0)
        await post.ask("c", "terminate")
        await post.ask("b", "timeout")
        await until(lambda: post.acts)
        assert post.acts == [("b", "timeout")]
        post.controls.drop("a")
        await post.controls.confirmed("c", 60.0)
        await post.ask("c", "terminate")
        await until(lambda: len(post.acts) == 2)
        assert post.acts[1] == ("c", "terminate")
        post.controls.drop("d")  # it has ended without ever having been listened to
        post.controls.drop("b")
        await post.controls.settle()
        await post.ask("d", "terminate")
        await post.ask("c", "terminate")
        await until(lambda: len(post.acts) == 3)
        assert post.acts[2] == ("c", "terminate")


@in_loop
async def test_a_task_that_gets_a_slot_is_listened_to_whatever_waits() -> None:
    async with listening(1) as post:
        for task_id in ("a", "b", "c"):
            post.controls.wait_with(task_id)
        await post.controls.confirmed("c", 60.0)
        await post.ask("c", "terminate")
        await until(lambda: post.acts == [("c", "terminate")])


@in_loop
async def test_where_each_subject_may_need_a_channel_there_are_enough_of_them() -> None:
    session = Session(EmbeddedBroker(Hub()), 60.0)
    session.broker.is_dear = True

    async def nothing(_task_id: str, _action: Action) -> None:
        return

    assert Controls(session, "P", nothing).waiting_max * 2 + 2 * 256 < 2047


@in_loop
async def test_where_a_subscription_is_dear_pings_are_listened_to_for_tasks_that_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(9, is_dear=True) as post:
        monkeypatch.setattr("worker.controls.PINGS_AFTER_S", 60.0)
        for task_id in ("waits", "short", "fresh"):
            post.controls.wait_with(task_id)
            await post.controls.confirmed(task_id, 60.0)
        post.controls.begin("short")
        post.controls.begin("fresh")
        post.controls.drop("short")
        monkeypatch.setattr("worker.controls.PINGS_AFTER_S", 0.0)
        await post.controls.confirmed("runs", 60.0)
        post.controls.begin("runs")
        await until(lambda: "runs_listen" in post.subjects())
        assert post.subjects() == {"waits_worker", "fresh_worker", "runs_worker", "runs_listen"}
        post.controls.drop("runs")
        assert post.subjects() == {"waits_worker", "fresh_worker"}


@in_loop
async def test_where_subscriptions_cost_nothing_both_subjects_are_there_before_the_first_word() -> None:
    async with listening(9) as post:
        await post.controls.confirmed("a", 60.0)
        assert post.subjects() == {"a_worker", "a_listen"}
