"""What the local API asks of the rest of the node: orders of the job child, carried by the parent, and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from job_item.reload import ReloadReport

Verb = Literal["start", "stop", "restart"]


@dataclass(frozen=True, slots=True)
class ExecOrder:
    """Start, stop or restart one background command. `number` names the order in its answer."""

    number: int
    key: str
    verb: Verb


@dataclass(frozen=True, slots=True)
class ReloadOrder:
    """Read the settings again and bring them into force; with `is_dry` only say what that would change.

    `candidate` is a file to look at in place of the configuration, with `is_dry` only.
    """

    number: int
    is_dry: bool
    candidate: str | None = None


Order = ExecOrder | ReloadOrder


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is not carried out, with a code of the register."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of the order `number`: None where it is carried out and there is nothing to say."""

    number: int
    content: Refusal | ReloadReport | None = None
