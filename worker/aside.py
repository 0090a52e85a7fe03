"""Work that may hang, such as a look at a dead network mount: done beside the loop, and never waited for at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def aside(work: Callable[[], Result]) -> asyncio.Future[Result]:
    """Do `work` in a thread that keeps nobody from ending; the future belongs to the running loop.

    The threads of the loop's own pool are waited for when the loop closes, however long they take.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def tell(act: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if future.done() else act())
        except RuntimeError:
            return  # the loop has ended: nobody wants to know any more

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            failure = error
            tell(lambda: future.set_exception(failure))
        else:
            tell(lambda: future.set_result(result))

    threading.Thread(target=run, name="aside", daemon=True).start()
    return future
