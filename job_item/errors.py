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
    """One thing that is wrong with the settings: where it stands, what it is, what to do.

    `path` is the way through the YAML, `jobs[0].timeout`; `warning` marks what does not keep the node from starting.
    """

    code: str
    message: str
    file: str | None = None
    line: int | None = None
    path: str | None = None
    remedy: str | None = None
    warning: bool = False
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class SettingsError(NodeError):
    """The settings cannot be used: refuse to start, or keep the old ones. `faults` holds all of them at once."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults[0].code, "; ".join(map(str, faults)))
        self.faults = faults


class Unavailable(NodeError):  # noqa: N818 - the word of the architecture
    """Something outside is away or full for the moment: try again later."""


class BadMessage(NodeError):  # noqa: N818 - the word of the architecture
    """One message or request is not usable: reject it and go on."""


class JobFailure(NodeError):  # noqa: N818 - the word of the architecture
    """A job cannot be run as asked; it ends with status `error`."""


class Bug(NodeError):  # noqa: N818 - the word of the architecture
    """The program is at fault; the process ends with exit code 70 and is replaced."""
