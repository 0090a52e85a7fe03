"""Redis streams: one for each event with a consumer group (Redis 6.2 and newer).

What is published to a subject does not get here by itself: nodes that hear it put it in, under the lock of the protocol
and once for each task id. Whatever depends on who holds a job is one script, so that it is looked at and done at once.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, ResponseError

from job_item.connections import RedisConnection
from job_item.errors import NodeError
from worker.brokers.queues import Expired, Fallen, Loan
from worker.brokers.redis.line import Line, wire_of

if TYPE_CHECKING:
    from worker.brokers.redis.life import RedisLife

GROUP = "job_item"
SHARE = 0.8
"""What part of a lease a node trusts in."""
ANSWER_S = 10.0
FORGOTTEN_MS = 3_600_000
"""A consumer that was idle for so long, and holds nothing, is of a process that is gone."""

_PUT = """
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return false end
return redis.call('XADD', KEYS[1], '*', 'body', ARGV[2], 'runs', '0', 'delivery', '0', 'round', ARGV[3])
"""
_IF_OURS = """
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if #held == 0 or held[1][2] ~= ARGV[3] then return 0 end
"""
_RENEW = f"""{_IF_OURS}
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[2], 'JUSTID')
return 1
"""
_RELEASE = f"""{_IF_OURS}
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[2], 'IDLE', ARGV[4], 'JUSTID')
return 1
"""
_ACCEPT = f"""{_IF_OURS}
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
"""
_GIVE_BACK = f"""{_IF_OURS}
redis.call('XADD', KEYS[1], '*', 'body', ARGV[4], 'runs', ARGV[5], 'delivery', ARGV[6], 'round', ARGV[7])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
"""
_TIDY = """
for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local found = {}
  for i = 1, #one, 2 do found[one[i]] = one[i + 1] end
  if found['pending'] == 0 and found['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], found['name'])
  end
end
return 1
"""


@dataclass(frozen=True, slots=True)
class Token:
    """An entry of a stream, and as whom we hold it."""

    entry: bytes
    consumer: str


class RedisQueues:
    """See `Queues`."""

    keep_s = math.inf
    is_bypassed = True

    def __init__(self, life: RedisLife, settings: RedisConnection, project: str) -> None:
        self._life = life
        self._settings = settings
        self._dead = f"job_item:dead:{project}"
        self._consumer = secrets.token_hex(8)

    async def open(self, subject: str, slots: int) -> RedisQueue:  # noqa: ARG002 - of the Protocol
        """See `Queues`."""
        self._life.check()
        self._life.fit_subscription(subject)
        stream = stream_of(subject)
        try:
            await self._life.call("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise self._refusal(subject, error) from None
        await self._eval(_TIDY, (stream,), GROUP, FORGOTTEN_MS)
        line = Line(self._life, wire_of(self._settings), {})
        await self._life.join(line)
        return RedisQueue(self._life, line, subject, self._consumer, self._settings.lease)

    async def renew(self, loan: Loan) -> Loan:
        """See `Queues`."""
        sent_s = asyncio.get_running_loop().time()
        await self._if_ours(_RENEW, loan)
        return replace(loan, until_s=sent_s + self._settings.lease * SHARE)

    async def accept(self, loan: Loan) -> None:
        """See `Queues`."""
        await self._if_ours(_ACCEPT, loan)

    async def give_back(self, loan: Loan, runs: int) -> None:
        """See `Queues`: the new entry comes and the old one goes in one step."""
        await self._if_ours(_GIVE_BACK, loan, loan.body, runs, loan.delivery, loan.round)

    async def redeem(self, subject: str, pledge: str, until_s: float, *, is_done: bool) -> bool:  # noqa: ARG002 - of the Protocol
        """See `Queues`. The server knows whether the loan stands; whoever looks next for jobs that are held in silence
        finds one that is released.
        """
        entry, _, consumer = pledge.partition(" ")
        script, more = (_ACCEPT, ()) if is_done else (_RELEASE, (FORGOTTEN_MS,))
        return bool(await self._eval(script, (stream_of(subject),), GROUP, entry, consumer, *more))

    async def put(self, subject: str, task_id: str, body: bytes, round: int = 0) -> None:  # noqa: A002 - of the Protocol
        """See `Queues`."""
        self._life.fit(subject, body, self._life.payload_limit)
        seen = f"job_item:seen:{subject}:{task_id}:{round}"
        await self._eval(_PUT, (stream_of(subject), seen), int(self._settings.dedupe * 1000), body, round)

    async def bury(self, task_id: str, letter: bytes) -> None:  # noqa: ARG002 - of the Protocol
        """See `Queues`."""
        await self._call("XADD", self._dead, "*", "letter", letter)

    async def fallen(self, limit: int) -> Sequence[Fallen]:
        """See `Queues`."""
        entries = await self._call("XRANGE", self._dead, "-", "+", "COUNT", limit)
        return [Fallen(entry.decode(), _members(fields).get(b"letter", b"")) for entry, fields in entries]

    async def exhume(self, fallen: Fallen) -> bool:
        """See `Queues`."""
        return bool(await self._call("XDEL", self._dead, str(fallen.token)))

    async def _if_ours(self, script: str, loan: Loan, *more: str | bytes | int) -> None:
        token = loan.token
        assert isinstance(token, Token)  # noqa: S101 - made by `loan_of`
        if loan.until_s <= asyncio.get_running_loop().time():
            raise Expired("ERR-DLV-001", "The time for which the job was lent is over.")
        if not await self._eval(script, (stream_of(loan.subject),), GROUP, token.entry, token.consumer, *more):
            raise Expired("ERR-DLV-001", "The job was lent to somebody else.")

    async def _eval(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        return await self._call("EVAL", script, len(keys), *keys, *arguments)

    async def _call(self, *command: str | bytes | int) -> Any:
        try:
            return await self._life.call(*command)
        except ResponseError as error:
            raise self._refusal(str(command[0]), error) from None

    def _refusal(self, what: str, error: ResponseError) -> NodeError:
        code = "ERR-BRK-003" if isinstance(error, NoPermissionError) else "ERR-DLV-005"
        return NodeError(code, self._life.clean(f"{self._life.place}: {what}: {error}"))


class RedisQueue:
    """See `Queue`. Reads on a connection of its own, as it waits there for jobs."""

    def __init__(self, life: RedisLife, line: Line, subject: str, consumer: str, lease_s: float) -> None:
        self._life = life
        self._line = line
        self._subject = subject
        self._stream = stream_of(subject)
        self._consumer = consumer
        self._lease_s = lease_s
        self._asked: asyncio.Task[list[Loan]] | None = None
        self._came: deque[Loan] = deque()
        """What was lent and nobody has fetched."""
        self._claim_s = 0.0
        """When it is looked again for jobs that somebody holds in silence."""

    async def borrow(self, limit: int) -> Sequence[Loan]:
        """See `Queue`."""
        while not self._came:
            self._life.check()
            if self._asked is None:
                self._asked = asyncio.ensure_future(self._ask(limit))
                self._asked.add_done_callback(_fetch)
            await asyncio.wait({self._asked})  # whoever calls this off leaves the question to the next call
            asked, self._asked = self._asked, None
            self._came.extend(asked.result())
        self._life.check()
        return [self._came.popleft() for _ in range(min(limit, len(self._came)))]

    async def _ask(self, limit: int) -> list[Loan]:
        """So many jobs at most, or none. Raises Unavailable, NodeError."""
        now_s = asyncio.get_running_loop().time()
        try:
            if now_s >= self._claim_s:
                if loans := await self._claim(now_s, limit):
                    return loans
                self._claim_s = now_s + self._lease_s / 3.0
            block_ms = max(int((self._claim_s - now_s) * 1000), 1)
            come = ("XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", limit, "BLOCK", block_ms)
            answer = await self._wait(block_ms / 1000, *come, "STREAMS", self._stream, ">")
        except ResponseError as error:
            raise NodeError("ERR-DLV-005", self._life.clean(f"{self._life.place}: {self._subject}: {error}")) from None
        return [self._loan(entry, fields, 1, now_s) for _, entries in answer or () for entry, fields in entries]

    async def _claim(self, now_s: float, limit: int) -> list[Loan]:
        """Take over jobs whose holders were silent for a lease."""
        cursor = b"0-0"
        while True:
            lease_ms = int(self._lease_s * 1000)
            command = ("XAUTOCLAIM", self._stream, GROUP, self._consumer, lease_ms, cursor, "COUNT", limit)
            cursor, entries, *_ = await self._wait(0.0, *command)
            loans = []
            for entry, fields in entries:
                if fields is None:  # Redis 6.2 names entries that were deleted
                    continue
                held = await self._wait(0.0, "XPENDING", self._stream, GROUP, entry, entry, 1)
                loans.append(self._loan(entry, fields, int(held[0][3]), now_s))
            if loans or cursor == b"0-0":
                return loans

    def _loan(self, entry: bytes, fields: Sequence[bytes], lent: int, asked_s: float) -> Loan:
        members = _members(fields)
        runs, delivery, turn = (int(members.get(name, b"0")) for name in (b"runs", b"delivery", b"round"))
        token = Token(entry, self._consumer)
        until_s = asked_s + self._lease_s * SHARE
        body, name = members.get(b"body", b""), entry.decode()
        return Loan(
            self._subject,
            body,
            token,
            until_s,
            delivery=delivery + lent,
            runs=runs + lent - 1,
            losses=lent - 1,
            round=turn,
            pledge=f"{name} {self._consumer}",
            entry=name,
        )

    async def _wait(self, block_s: float, *command: str | bytes | int) -> Any:
        answer = await self._line.ask(*command)
        return await self._life.during(_answered(answer), block_s + ANSWER_S)

    async def _unblock(self, asked: asyncio.Task[list[Loan]]) -> None:
        """End the wait of a question. One that does not wait yet is not ended by that: the server says so, and is told
        again.
        """
        until_s = asyncio.get_running_loop().time() + ANSWER_S
        while not asked.done() and asyncio.get_running_loop().time() < until_s:
            if await self._life.call("CLIENT", "UNBLOCK", self._line.number):
                return

    def widen(self, resting: int) -> None:
        """See `Queue`: nothing is sent that was not asked for."""

    async def close(self) -> None:
        """See `Queue`: what waits there for a job is told to stop, and what has come is given back."""
        try:
            if self._asked is not None and not self._life.lost.done():
                await self._unblock(self._asked)
                await asyncio.wait({self._asked}, timeout=ANSWER_S)
                if self._asked.done() and not self._asked.exception():
                    self._came.extend(self._asked.result())
            while self._came and self._life.queues is not None:
                loan = self._came.popleft()
                await self._life.queues.give_back(loan, loan.runs)
        except (NodeError, ResponseError):
            pass  # it is lent again when its term is over
        finally:
            await self._life.leave(self._line)


def stream_of(subject: str) -> str:
    """The key of the stream of a subject."""
    return f"job_item:jobs:{subject}"


def _members(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _fetch(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _answered(answer: asyncio.Future[Any]) -> Any:
    return await answer
