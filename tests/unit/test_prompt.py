"""A prompt future resumes its waiter in the call that gives the result, and is an ordinary future otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from job_item.prompt import Prompt


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


async def wait_for(future: Prompt[int], seen: list[int]) -> None:
    seen.append(await future)


@in_loop
async def test_the_waiter_goes_on_within_the_callback_that_gives_the_result() -> None:
    loop = asyncio.get_running_loop()
    future, seen, within = Prompt[int](loop), list[int](), list[int]()
    waiter = loop.create_task(wait_for(future, seen))
    await asyncio.sleep(0)

    def give() -> None:
        future.set_result(7)
        within.extend(seen)

    loop.call_soon(give)
    await waiter
    assert within == [7]


@in_loop
async def test_a_result_given_by_a_task_comes_in_the_next_turn() -> None:
    loop = asyncio.get_running_loop()
    future, seen = Prompt[int](loop), list[int]()
    waiter = loop.create_task(wait_for(future, seen))
    await asyncio.sleep(0)
    future.set_result(7)
    assert seen == []
    await waiter
    assert seen == [7]


@in_loop
async def test_a_result_that_is_there_already_is_taken_at_once() -> None:
    future = Prompt[int](asyncio.get_running_loop())
    future.set_result(7)
    assert await future == 7


@in_loop
async def test_an_exception_reaches_the_waiter() -> None:
    loop = asyncio.get_running_loop()
    future = Prompt[int](loop)
    loop.call_soon(future.set_exception, ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        await future


@in_loop
async def test_a_waiter_that_is_cancelled_gives_the_future_up() -> None:
    loop = asyncio.get_running_loop()
    future = Prompt[int](loop)
    waiter = loop.create_task(wait_for(future, []))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert future.cancelled()


@in_loop
async def test_it_can_be_waited_for_like_any_other_future() -> None:
    loop = asyncio.get_running_loop()
    futures = [Prompt[int](loop) for _ in range(3)]
    for number, future in enumerate(futures):
        loop.call_soon(future.set_result, number)
    assert await asyncio.gather(*futures) == [0, 1, 2]
    late = Prompt[int](loop)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(late, 0.001)
    dropped = Prompt[int](loop)
    dropped.add_done_callback(print)
    assert dropped.remove_done_callback(print) == 1
