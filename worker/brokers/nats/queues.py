"""JetStream: a work-queue stream for each event, with one consumer that all nodes share (nats-server 2.9 and newer).

The publisher changes nothing: what it sends to a job subject lands in the stream. Tried on nats-server 2.9.10: a late
acknowledgement of an earlier delivery deletes the message that somebody else holds by now, a second consumer with the
same filter is refused, and after `max_deliver` a message stays for ever. So there is one consumer without that limit, a
node counts the deliveries itself, and it never acknowledges once its time is over. That time is counted from before the
request by which the message came, so a node that was stopped meanwhile knows that it is late.

What goes back gets there as a new message whose headers say what was done so far: a refusal (-NAK) counts as a
delivery that was lost, and not even that where it meets a request of a dead process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from job_item.connections import NatsConnection
from job_item.errors import NodeError, Unavailable
from worker.brokers.nats.client import Msg
from worker.brokers.nats.draw import NatsQueue, next_subject
from worker.brokers.nats.lent import ROUND, Token, headers_of, loan_of, number_of, read, token_of, write
from worker.brokers.queues import Expired, Fallen, Loan

if TYPE_CHECKING:
    from worker.brokers.nats.life import NatsLife

API = "$JS.API."
CONSUMER = "job_item"
SHARE = 0.8
"""What part of the server's `ack_wait` a node trusts in."""
MESSAGE_ID = "Nats-Msg-Id"
HEADERS_BYTES = 1024
"""Kept for the headers, which the server counts."""
_NO_STREAM, _NO_CONSUMER, _NAME_TAKEN, _NO_MESSAGE = 10059, 10014, 10058, 10037


class ApiError(NodeError):
    """JetStream has refused something; `number` is its own `err_code`."""

    def __init__(self, what: str, error: Mapping[str, Any]) -> None:
        super().__init__("ERR-DLV-005", f"{what}: {error.get('description', 'no reason')}")
        self.number = int(error.get("err_code", 0))


class NatsQueues:
    """See `Queues`."""

    keep_s = math.inf
    is_bypassed = False

    def __init__(self, life: NatsLife, settings: NatsConnection, project: str) -> None:
        self._life = life
        self._settings = settings
        self._dead_stream = stream_name(f"dead.{project}")
        self._dead_subject = f"job_item.dead.{project}"
        self._is_dead_ready = False

    async def open(self, subject: str, slots: int) -> NatsQueue:  # noqa: ARG002 - of the Protocol
        """See `Queues`. A stream and a consumer that are there are used as they are."""
        self._life.check()
        self._life.fit_subscription(subject)
        stream = stream_name(subject)
        await self._ensure_stream(stream, subject, retention="workqueue")
        wait_s = await self._ensure_consumer(stream, subject)
        queue = NatsQueue(self._life, subject, next_subject(stream), wait_s, loan_of)
        await queue.open()
        return queue

    async def renew(self, loan: Loan) -> Loan:
        """See `Queues`. The server does not say whose the message is; the time that is over says it."""
        token = token_of(loan)
        sent_s = self._now_s(loan)
        await self._life.request(token.reply, b"+WPI")
        return replace(loan, until_s=sent_s + token.wait_s * SHARE)

    async def accept(self, loan: Loan) -> None:
        """See `Queues`."""
        self._now_s(loan)
        await self._life.request(token_of(loan).reply, b"+ACK")

    async def give_back(self, loan: Loan, runs: int) -> None:
        """See `Queues`."""
        self._now_s(loan)
        await self._replace(loan, runs, 0)

    async def redeem(self, subject: str, pledge: str, until_s: float, *, is_done: bool) -> bool:
        """See `Queues`. Only while the loan must stand, as the server does not say whose a message is."""
        if until_s <= asyncio.get_running_loop().time():
            return False
        lent = await self._look_up(subject, pledge, until_s)
        if lent is None:  # the dead process had ended the loan
            return True
        if is_done:
            await self.accept(lent)
        else:
            await self._replace(lent, lent.runs + 1, lent.losses + 1)
        return True

    async def _replace(self, loan: Loan, runs: int, losses: int) -> None:
        """Put a copy of a message into its queue, and end the message once the server has that.

        Whoever dies in between leaves both; a successor that does it again puts in the same copy, which the server
        knows by its id. Where none does in time both are given out: the copy counts one delivery more, so that their
        fences differ.
        """
        token = token_of(loan)
        headers = write(runs, loan.delivery + 1, losses, loan.round)
        await self._publish(loan.subject, loan.body, headers | {MESSAGE_ID: f"{token.reply}.again"})
        await self.accept(loan)

    async def _look_up(self, subject: str, reply: str, until_s: float) -> Loan | None:
        """What the message lends that is answered there; None where the queue has forgotten it."""
        try:
            answer = await self._ask(f"STREAM.MSG.GET.{stream_name(subject)}", {"seq": number_of(reply)})
        except ApiError as error:
            if error.number == _NO_MESSAGE:
                return None
            raise
        found = answer["message"]
        body, headers = base64.b64decode(found.get("data", "")), headers_of(found.get("hdrs", ""))
        return read(subject, body, headers, Token(reply, 0.0), until_s)

    async def put(self, subject: str, task_id: str, body: bytes, round: int = 0) -> None:  # noqa: A002 - of the Protocol
        """See `Queues`."""
        headers = {MESSAGE_ID: f"{task_id}.{round}" if round else task_id, ROUND: str(round)}
        try:
            await self._publish(subject, body, headers)
        except ApiError:
            await self._ensure_stream(stream_name(subject), subject, retention="workqueue")
            await self._publish(subject, body, headers)

    async def bury(self, task_id: str, letter: bytes) -> None:
        """See `Queues`."""
        await self._ensure_dead()
        digest = hashlib.sha256(letter).hexdigest()[:16]
        await self._publish(self._dead_subject, letter, {MESSAGE_ID: f"{task_id}.{digest}"})

    async def fallen(self, limit: int) -> Sequence[Fallen]:
        """See `Queues`."""
        await self._ensure_dead()
        found: list[Fallen] = []
        number = 1
        while len(found) < limit:
            try:
                wanted = {"seq": number, "next_by_subj": self._dead_subject}
                answer = await self._ask(f"STREAM.MSG.GET.{self._dead_stream}", wanted)
            except ApiError as error:
                if error.number == _NO_MESSAGE:
                    break
                raise
            message = answer["message"]
            found.append(Fallen(message["seq"], base64.b64decode(message.get("data", ""))))
            number = message["seq"] + 1
        return found

    async def exhume(self, fallen: Fallen) -> bool:
        """See `Queues`."""
        try:
            wanted = {"seq": fallen.token, "no_erase": True}
            answer = await self._ask(f"STREAM.MSG.DELETE.{self._dead_stream}", wanted)
        except ApiError:
            return False
        return bool(answer.get("success"))

    def _now_s(self, loan: Loan) -> float:
        """The moment, at which the loan still stands."""
        now_s = asyncio.get_running_loop().time()
        if loan.until_s <= now_s:
            raise Expired("ERR-DLV-001", "The time for which the job was lent is over.")
        return now_s

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        """Publish, and have the server say that it keeps it.

        Raises BadMessage for what is too large: the server would end the connection.
        """
        self._life.fit(subject, body, self._life.payload_limit - HEADERS_BYTES)
        answer = await self._life.request(subject, body, headers)
        _read(subject, answer)

    async def _ensure_dead(self) -> None:
        if not self._is_dead_ready:
            await self._ensure_stream(self._dead_stream, self._dead_subject, retention="limits")
            self._is_dead_ready = True

    async def _ensure_stream(self, stream: str, subject: str, *, retention: str) -> None:
        wanted = {
            "name": stream,
            "subjects": [subject],
            "retention": retention,
            "storage": "file",
            "discard": "new",
            "duplicate_window": int(self._settings.dedupe * 1e9),
        }
        try:
            await self._ask(f"STREAM.CREATE.{stream}", wanted)
        except ApiError as error:
            if error.number != _NAME_TAKEN:  # with other settings: its administrator's, or another node's
                raise

    async def _ensure_consumer(self, stream: str, subject: str) -> float:
        """Make the consumer where there is none; returns its `ack_wait` in seconds."""
        try:
            found = await self._ask(f"CONSUMER.INFO.{stream}.{CONSUMER}", {})
        except ApiError as error:
            if error.number != _NO_CONSUMER:
                raise
            config = {
                "durable_name": CONSUMER,
                "ack_policy": "explicit",
                "ack_wait": int(self._settings.lease * 1e9),
                "deliver_policy": "all",
                "max_deliver": -1,
                "max_ack_pending": -1,
                "filter_subject": subject,
            }
            wanted = {"stream_name": stream, "config": config}
            found = await self._ask(f"CONSUMER.DURABLE.CREATE.{stream}.{CONSUMER}", wanted)
        return float(found["config"]["ack_wait"]) / 1e9

    async def _ask(self, what: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps(wanted).encode() if wanted else b""
        return _read(what, await self._life.request(API + what, body))


def stream_name(subject: str) -> str:
    """The name of the stream of a subject: letters, digits, `-` and `_`, and as unlike others as the subject."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", subject)
    return f"job_item-{plain[:100]}-{hashlib.sha256(subject.encode()).hexdigest()[:8]}"


def _read(what: str, answer: Msg) -> dict[str, Any]:
    """Read what JetStream answers. Raises `ApiError`, `Unavailable`."""
    if (answer.headers or {}).get("Status") == "503":
        raise ApiError(what, {"description": "nobody answers; is JetStream switched on?"})
    try:
        said = json.loads(answer.data)
    except ValueError:
        raise Unavailable("ERR-BRK-002", f"{what}: the answer is not understood") from None
    if not isinstance(said, dict):
        raise ApiError(what, {"description": "somebody else answers"})
    if "error" in said:
        raise ApiError(what, said["error"])
    return said
