"""The few exceptions of the node, sorted by what their catcher can do.

Each carries a code of the register (`job_item.codes`) and one clear sentence; the remedy is the register's unless the
place that raises knows a better one.
"""

from __future__ import annotations

from dataclasses import dataclass


class NodeError(Exception):
    """Any failure that a user may see.

    Parameters: `code`, a key of the register; `message`, one sentence that says what is wrong; `remedy`, what to do,
    where the register's own remedy is too general.
    """

    def __init__(self, code: str, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the settings: where it stands, what it is, what to do."""

    code: str
    message: str
    file: str | None = None
    line: int | None = None
    path: str | None = None
    remedy: str | None = None
    warning: bool = False


class SettingsError(NodeError):
    """The settings cannot be used: refuse to start, or keep the old ones. Holds all faults at once."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults[0].code, "; ".join(fault.message for fault in faults))
        self.faults = faults


class Unavailable(NodeError):
    """Something outside is away or full for the moment: try again later."""


class BadMessage(NodeError):
    """One message or request is not usable: reject it and go on."""


class JobFailure(NodeError):
    """A job cannot be run as asked; it ends with status `error`."""


class Bug(NodeError):
    """The program is at fault; the process ends with exit code 70 and is replaced."""
