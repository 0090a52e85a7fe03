"""An entry of `execs`: a background command that is kept alive."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from job_item.kinds import Bytes, Environment, Passable, Seconds
from job_item.probespec import HealthProbe, ReadyProbe
from job_item.quantity import Unfit, shown
from job_item.resources import Resources
from job_item.section import Section

_ATTEMPTS = 3
_SIGNALS = {entry.name.removeprefix("SIG"): int(entry) for entry in signal.Signals}

Condition = Literal["started", "ready", "healthy", "completed"]
"""What an exec waits for in one that it depends on."""


def _stop_signal(value: object) -> object:
    """Take a signal, name or number; it is kept as its name, without SIG. Raises `Unfit`."""
    text = str(value).strip().upper().removeprefix("SIG")
    number = int(text) if text.isascii() and text.isdigit() else _SIGNALS.get(text, 0)
    if number not in signal.valid_signals():
        near = difflib.get_close_matches(text, _SIGNALS, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise Unfit("ERR-CFG-007", f"wants the name or number of a signal, not {shown(value)}{meant}")
    if number == signal.SIGSTOP:
        raise Unfit(
            "ERR-CFG-007",
            "cannot be SIGSTOP, which ends nothing",
            "Name a signal that makes the command end, such as TERM.",
        )
    return next((name for name, known in _SIGNALS.items() if known == number), str(number))


def _conditions(value: object) -> object:
    """Take a list of keys, or a mapping of keys to conditions; in a list each is waited for until it is ready.

    An exec without a `ready` probe is ready as soon as it has started.
    """
    if isinstance(value, (list, tuple)):
        odd = [entry for entry in value if not isinstance(entry, str)]
        if odd:
            raise Unfit("ERR-CFG-005", f"wants keys of other execs, not {shown(odd[0])}")
        return dict.fromkeys(value, "ready")
    if not isinstance(value, dict):
        raise Unfit("ERR-CFG-005", f"wants a list of keys or a mapping of keys to conditions, not {shown(value)}")
    return {key: "ready" if condition is None else condition for key, condition in value.items()}


class ExecLog(Section):
    """`log` of an exec: how large its output file gets, and how many older ones stay beside it."""

    max_bytes: Bytes = Field(default=16 << 20, ge=1024)
    keep: int = Field(default=1, ge=0, le=100)


class Exec(Section):
    """A background command. Times are in seconds.

    `attempt` <= 0 means 3 (protocol job-item.md, section 2.1). Without a `key` the name is the key, as the key only
    named an exec in the original.
    """

    name: Passable = ""
    key: Passable = Field(min_length=1)
    cmd: Passable = Field(min_length=1)
    working_dir: str | None = None
    env: Environment = Field(default_factory=dict)
    resources: Resources = Resources()
    restart: Literal["always", "on-failure", "never"] = "on-failure"
    attempt: Annotated[int, AfterValidator(lambda count: count if count > 0 else _ATTEMPTS)] = _ATTEMPTS
    backoff: Seconds = Field(default=1.0, ge=0)
    backoff_max: Seconds = Field(default=60.0, ge=0)
    stable: Seconds = Field(default=10.0, ge=1)
    cascade_exit: bool = False
    stop_signal: Annotated[str, BeforeValidator(_stop_signal)] = "TERM"
    stop_grace: Seconds = Field(default=5.0, ge=0)
    log: ExecLog = ExecLog()
    depends_on: Annotated[Mapping[str, Condition], BeforeValidator(_conditions)] = Field(default_factory=dict)
    ready: ReadyProbe | None = None
    health: HealthProbe | None = None

    @property
    def stop_number(self) -> int:
        """The number of `stop_signal`."""
        return _SIGNALS.get(self.stop_signal) or int(self.stop_signal)

    def run_part(self) -> tuple[object, ...]:
        """What a command is started with: a change of it needs a restart, everything else is policy."""
        return self.cmd, self.working_dir, tuple(sorted(self.env.items())), self.resources

    @model_validator(mode="before")
    @classmethod
    def _name_is_key(cls, content: Any) -> Any:
        if isinstance(content, dict) and not content.get("key") and content.get("name"):
            return {**content, "key": content["name"]}
        return content
