"""Orders of the job child: numbered, waited for, never mixed up."""

from __future__ import annotations

import asyncio

import pytest

from job_item.errors import NodeError, Unavailable
from job_item.orders import Answer, ExecOrder, Order, Refusal, ReloadOrder
from job_item.reload import ReloadReport
from tests.journals import in_loop
from worker import orders as orders_module
from worker.orders import ALONE, Orders


class Parent:
    """Hears orders."""

    def __init__(self) -> None:
        self.heard: list[Order] = []
        self._said: asyncio.Queue[Order] = asyncio.Queue()
        self.orders = Orders(self._said.put_nowait)

    async def hear(self, count: int) -> None:
        """Wait until so many orders have come in all."""
        while len(self.heard) < count:
            self.heard.append(await self._said.get())


@in_loop
async def test_an_order_is_answered_by_its_number() -> None:
    parent = Parent()
    given = asyncio.create_task(parent.orders.give_exec("a", "restart"))
    await parent.hear(1)
    (order,) = parent.heard
    assert order == ExecOrder(order.number, "a", "restart")
    parent.orders.take(Answer(order.number))
    assert await given is None


@in_loop
async def test_several_orders_at_once_get_each_its_own_answer() -> None:
    parent = Parent()
    refusal, report = Refusal("ERR-EXE-001", "It runs."), ReloadReport("d")
    work = asyncio.gather(
        parent.orders.give_exec("a", "start"),
        parent.orders.give_reload(is_dry=True, candidate="/c"),
        parent.orders.give_exec("b", "stop"),
    )
    await parent.hear(3)
    first, second, third = parent.heard
    assert second == ReloadOrder(second.number, True, "/c")
    assert len({order.number for order in parent.heard}) == 3
    for order, content in ((third, None), (second, report), (first, refusal)):
        parent.orders.take(Answer(order.number, content))
    assert list(await work) == [refusal, report, None]


@in_loop
async def test_an_answer_that_comes_late_or_twice_or_to_somebody_else_harms_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orders_module, "EXEC_LIMIT_S", 0.01)
    parent = Parent()
    with pytest.raises(Unavailable) as caught:
        await parent.orders.give_exec("a", "start")
    assert caught.value.code == "ERR-LNK-003"
    await parent.hear(1)
    parent.orders.take(Answer(parent.heard[0].number))
    parent.orders.take(Answer(7))
    given = asyncio.create_task(parent.orders.give_reload(is_dry=False))
    await parent.hear(2)
    for digest in ("first", "second"):
        parent.orders.take(Answer(parent.heard[1].number, ReloadReport(digest)))
    assert await given == ReloadReport("first")


@in_loop
async def test_an_order_whose_giver_is_gone_is_forgotten() -> None:
    parent = Parent()
    given = asyncio.create_task(parent.orders.give_exec("a", "start"))
    await parent.hear(1)
    given.cancel()
    await asyncio.wait({given})
    parent.orders.take(Answer(parent.heard[0].number))
    assert given.cancelled()


@in_loop
async def test_a_reload_without_a_report_is_a_failure_and_no_success() -> None:
    parent = Parent()
    given = asyncio.create_task(parent.orders.give_reload(is_dry=False))
    await parent.hear(1)
    parent.orders.take(Answer(parent.heard[0].number))
    with pytest.raises(NodeError) as caught:
        await given
    assert caught.value.code == "ERR-LNK-001"


@in_loop
async def test_a_room_that_is_run_by_hand_refuses_orders() -> None:
    alone = Orders(None)
    assert await alone.give_exec("a", "start") == ALONE
    assert await alone.give_reload(is_dry=True) == ALONE


def test_two_children_do_not_use_the_same_numbers() -> None:
    numbers = set()
    for _ in range(2):
        parent = Parent()

        async def give(parent: Parent = parent) -> None:
            given = asyncio.create_task(parent.orders.give_exec("a", "start"))
            await parent.hear(1)
            parent.orders.take(Answer(parent.heard[0].number))
            await given

        asyncio.run(give())
        numbers.add(parent.heard[0].number)
    assert len(numbers) == 2
