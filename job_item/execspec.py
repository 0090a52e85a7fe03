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
    """Size at which its output goes on in a new file."""
    keep: int = Field(default=1, ge=0, le=100)
    """How many older files stay."""


class Exec(Section):
    """A background command. Times are in seconds.

    `attempt` <= 0 means 3 (protocol job-item.md, section 2.1). Without a `key` the name is the key, as the key only
    named an exec in the original.
    """

    name: Passable = ""
    """A label for people."""
    key: Passable = Field(min_length=1)
    """Names the exec in logs, orders and `depends_on`. Default: the name."""
    cmd: Passable = Field(min_length=1)
    """Text for `sh`; not a template."""
    working_dir: str | None = None
    """Its directory; a relative path starts at the folder of the file. Default: the folder of the file."""
    env: Environment = Field(default_factory=dict)
    """Further environment variables."""
    resources: Resources = Resources()
    """What the kernel holds its processes to."""
    restart: Literal["always", "on-failure", "never"] = "on-failure"
    """When it is started again after its end: `always`, `on-failure` (not after exit code 0), `never`."""
    attempt: Annotated[int, AfterValidator(lambda count: count if count > 0 else _ATTEMPTS)] = _ATTEMPTS
    """Starts in a row until it is given up. 0 and less mean 3."""
    backoff: Seconds = Field(default=1.0, ge=0)
    """Pause after the first start of a row that failed; it doubles each time."""
    backoff_max: Seconds = Field(default=60.0, ge=0)
    """The longest pause."""
    stable: Seconds = Field(default=10.0, ge=1)
    """A run of this length begins a new row, and the next start follows at once."""
    cascade_exit: bool = False
    """Whether the node stops, drained and with exit code 76, when this exec is down for good: it ended well and is not
    restarted, or it is given up. (The Go worker stopped at the first end.)
    """
    stop_signal: Annotated[str, BeforeValidator(_stop_signal)] = "TERM"
    """The signal that asks it to end, by name or number."""
    stop_grace: Seconds = Field(default=5.0, ge=0)
    """Time between that signal and SIGKILL."""
    log: ExecLog = ExecLog()
    """How large its output gets on disk."""
    depends_on: Annotated[Mapping[str, Condition], BeforeValidator(_conditions)] = Field(default_factory=dict)
    """Keys of execs to wait for before each start: a list (until each is ready), or a mapping to `started`, `ready`,
    `healthy` or `completed`.
    """
    ready: ReadyProbe | None = None
    """How it is found out that it does its work."""
    health: HealthProbe | None = None
    """How it is found out that it still does."""

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
