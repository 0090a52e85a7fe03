"""What a message of a JetStream consumer lends: its headers and the subject at which it is answered say it.

A copy of a message that goes back to its queue says in its headers what was done so far.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from worker.brokers.nats.client import Msg
from worker.brokers.queues import Loan

RUNS, DELIVERY, LOSSES, ROUND = "Job-Item-Runs", "Job-Item-Delivery", "Job-Item-Losses", "Job-Item-Round"


@dataclass(frozen=True, slots=True)
class Token:
    """How a message of a consumer is known: where it is answered, and the consumer's `ack_wait`."""

    reply: str
    wait_s: float


def loan_of(subject: str, message: Msg, until_s: float, wait_s: float) -> Loan:
    """What a message lends that has come."""
    return read(subject, message.data, message.headers or {}, Token(message.reply, wait_s), until_s)


def read(subject: str, body: bytes, headers: Mapping[str, str], token: Token, until_s: float) -> Loan:
    """What a message with these headers lends."""
    delivered = int(_part(token.reply, 0))
    unheard = delivered - 1
    runs, delivery, losses, turn = (_number(headers.get(name)) for name in (RUNS, DELIVERY, LOSSES, ROUND))
    return Loan(
        subject,
        body,
        token,
        until_s,
        delivery=delivery + delivered,
        runs=runs + unheard,
        losses=losses + unheard,
        round=turn,
        pledge=token.reply,
        entry=_part(token.reply, 1),
    )


def write(runs: int, delivery: int, losses: int, turn: int) -> dict[str, str]:
    """The headers of a copy."""
    return {RUNS: str(runs), DELIVERY: str(delivery), LOSSES: str(losses), ROUND: str(turn)}


def number_of(reply: str) -> int:
    """The number in its stream of a message that is answered there."""
    return int(_part(reply, 1))


def headers_of(stored: str) -> dict[str, str]:
    """The headers of a message that was looked up, which come as base64 (NATS ADR-4)."""
    _, *lines = base64.b64decode(stored).decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return {name: value.strip() for name, _, value in pairs}


def token_of(loan: Loan) -> Token:
    """How the message of a loan is known."""
    assert isinstance(loan.token, Token)  # noqa: S101 - made by `loan_of`
    return loan.token


def _part(reply: str, index: int) -> str:
    """How often a message was delivered (0), and its number in the stream (1): NATS ADR-15 has both forms."""
    parts = reply.split(".")
    return parts[(6 if len(parts) >= 12 else 4) + index]


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 9 else 0
