"""Orders of the job child to the rest of the node, and the wait for what comes of them.

The parent carries an order to whom it is for and brings back an `Answer` with its number. Numbers begin anywhere, so
that an answer to a predecessor of this child is not taken for one of ours; an answer that nobody waits for any more is
dropped.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import count

from job_item.errors import NodeError, Unavailable
from job_item.orders import Answer, ExecOrder, Order, Refusal, ReloadOrder, Verb
from job_item.reload import ReloadReport

EXEC_LIMIT_S = 10.0
RELOAD_LIMIT_S = 30.0

ALONE = Refusal("ERR-LNK-004", "This job child was started alone, by hand: there is no parent that takes orders.")


class Orders:
    """Gives orders and waits for their answers, any number at once.

    `say` tells the parent; None where there is none, because the room is run by hand.
    """

    def __init__(self, say: Callable[[Order], None] | None) -> None:
        self._say = say
        self._numbers = count(random.getrandbits(60))
        self._waiting: dict[int, asyncio.Future[Refusal | ReloadReport | None]] = {}

    async def give_exec(self, key: str, verb: Verb) -> Refusal | None:
        """Have one exec started, stopped or restarted; None when that is done.

        Raises `Unavailable` (ERR-LNK-003) when no answer has come after `EXEC_LIMIT_S` seconds.
        """
        content = await self._give(lambda number: ExecOrder(number, key, verb), EXEC_LIMIT_S)
        return content if isinstance(content, Refusal) else None

    async def give_reload(self, *, is_dry: bool, candidate: str | None = None) -> ReloadReport | Refusal:
        """Have the settings read again; with `is_dry` nothing but the report comes of it.

        Raises `Unavailable` (ERR-LNK-003) when no answer has come after `RELOAD_LIMIT_S` seconds.
        """
        content = await self._give(lambda number: ReloadOrder(number, is_dry, candidate), RELOAD_LIMIT_S)
        if content is None:
            raise NodeError("ERR-LNK-001", "The parent answers the order to reload without a report.")
        return content

    def take(self, answer: Answer) -> None:
        """Hand an answer to whoever waits for it."""
        waiting = self._waiting.get(answer.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer.content)

    async def _give(self, order: Callable[[int], Order], limit_s: float) -> Refusal | ReloadReport | None:
        if self._say is None:
            return ALONE
        number = next(self._numbers)
        answer: asyncio.Future[Refusal | ReloadReport | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._say(order(number))
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError:
            raise Unavailable("ERR-LNK-003", f"The node has not answered the order within {limit_s:.0f} s.") from None
        finally:
            del self._waiting[number]
