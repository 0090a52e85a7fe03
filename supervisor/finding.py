"""What a look at the settings has found, as the parent and the log are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from job_item.errors import Fault


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong or doubtful: a code of the register, where, and what."""

    code: str
    at: str
    reason: str


def finding_of(fault: Fault) -> Finding:
    """The same as values alone."""
    place = ":".join(str(part) for part in (fault.file, fault.line) if part is not None)
    at = ": ".join(part for part in (place, fault.path) if part)
    return Finding(fault.code, at, fault.message)
