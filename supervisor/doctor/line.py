"""One thing that was looked at: how it is, in words, and what to do where it is not well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from job_item.codes import REGISTER
from job_item.errors import Fault, NodeError

if TYPE_CHECKING:
    from job_item.load import Loaded

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Line:
    """`check` names what was looked at, `said` is one sentence; `code` and `remedy` stand where it is not `ok`."""

    check: str
    verdict: Verdict
    said: str
    code: str | None = None
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """The node that is looked at. `loaded` is None where the settings cannot be used; `faults` says why."""

    config_path: Path
    state_dir: Path
    work_dir: Path
    loaded: Loaded | None = None
    faults: tuple[Fault, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")
    """What stands for `/`, where the machine is asked."""

    @property
    def concurrency(self) -> int:
        """How many jobs may run at once; 1 where nobody knows."""
        return self.loaded.settings.limits.concurrency if self.loaded else 1


Check = Callable[[Case], Iterable[Line]]


def ok(check: str, said: str) -> Line:
    """All is well."""
    return Line(check, "ok", said)


def warn(check: str, code: str, said: str, remedy: str | None = None) -> Line:
    """The node works, with a weaker guarantee or not for ever. Without `remedy` it is the register's."""
    return Line(check, "warn", said, code, remedy or REGISTER[code].remedy)


def fail(check: str, code: str, said: str, remedy: str | None = None) -> Line:
    """The node does not work like this."""
    return Line(check, "fail", said, code, remedy or REGISTER[code].remedy)


def of_error(check: str, error: NodeError, verdict: Verdict = "fail") -> Line:
    """What a failure says of itself."""
    return Line(check, verdict, error.message, error.code, error.remedy or REGISTER[error.code].remedy)
