"""`ready` and `health` of an exec: how the node finds out what a running command does not say by itself."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from job_item.kinds import Passable, Seconds
from job_item.quantity import Unfit, shown
from job_item.section import Section


def _url(value: str) -> str:
    """Take the address of an HTTP probe. Raises `Unfit`."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and value.isascii()
    except ValueError:
        fits = False
    if not fits or any(sign.isspace() or not sign.isprintable() for sign in value):
        raise Unfit("ERR-CFG-007", f"wants an address such as http://127.0.0.1:8000/health, not {shown(value)}")
    if parts.username is not None:
        raise Unfit("ERR-CFG-007", "cannot be an address with a name or password in it", "Use a `cmd` probe for that.")
    return value


def _tcp(value: object) -> object:
    """Take `host:port` or a port. Raises `Unfit`."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return value  # what kind it is to be is said by who reads it next
    host, colon, port = str(value).rpartition(":")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16 or (colon and not host):
        raise Unfit("ERR-CFG-007", f"wants a port or host:port, such as 5432 or 127.0.0.1:5432, not {shown(value)}")
    return str(value)


def _pattern(value: str) -> str:
    """Take a regular expression. Raises `Unfit`."""
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unfit("ERR-CFG-034", f"cannot be read as a regular expression: {error}") from None
    return value


Url = Annotated[str, AfterValidator(_url)]
TcpAddress = Annotated[str, BeforeValidator(_tcp)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]


class HealthProbe(Section):
    """`health`: exactly one of `cmd`, `http` and `tcp`, asked again and again as long as the exec runs.

    Times are in seconds; `failures` in a row make the exec unhealthy.
    """

    cmd: Passable | None = Field(default=None, min_length=1)
    """Probe: a command of `sh` that must end with exit code 0."""
    http: Url | None = None
    """Probe: an address (http or https) that must answer with a status from 200 to 399."""
    tcp: TcpAddress | None = None
    """Probe: `host:port`, or a port of 127.0.0.1, that must accept a connection."""
    verify: bool = True
    """Whether the certificate of an https address must be trusted."""
    interval: Seconds = Field(default=5.0, ge=0.05)
    """Pause between two questions."""
    timeout: Seconds = Field(default=5.0, gt=0, le=3600)
    """How long an answer may take."""
    initial_delay: Seconds = Field(default=0.0, ge=0)
    """Pause before the first question, after it is ready."""
    failures: int = Field(default=3, ge=1)
    """So many noes in a row make it unhealthy: it is ended, and that counts as a failure."""

    @model_validator(mode="after")
    def _ask_one_thing(self) -> HealthProbe:
        _require_one(self, ("cmd", "http", "tcp"))
        return self


class ReadyProbe(Section):
    """`ready`: exactly one of `cmd`, `http`, `tcp` and `log`, asked until the first yes of each run.

    `log` is a regular expression that is looked for in each line of the run's output.
    """

    cmd: Passable | None = Field(default=None, min_length=1)
    """Probe: a command of `sh` that must end with exit code 0."""
    http: Url | None = None
    """Probe: an address (http or https) that must answer with a status from 200 to 399."""
    tcp: TcpAddress | None = None
    """Probe: `host:port`, or a port of 127.0.0.1, that must accept a connection."""
    log: Pattern | None = None
    """Probe: a regular expression that a line of this run's output must match."""
    verify: bool = True
    """Whether the certificate of an https address must be trusted."""
    interval: Seconds = Field(default=1.0, ge=0.05)
    """Pause between two questions."""
    timeout: Seconds = Field(default=5.0, gt=0, le=3600)
    """How long an answer may take."""
    initial_delay: Seconds = Field(default=0.0, ge=0)
    """Pause before the first question, after the start."""

    @model_validator(mode="after")
    def _ask_one_thing(self) -> ReadyProbe:
        _require_one(self, ("cmd", "http", "tcp", "log"))
        return self


Probe = HealthProbe | ReadyProbe


def _require_one(probe: Section, kinds: tuple[str, ...]) -> None:
    given = [kind for kind in kinds if getattr(probe, kind) is not None]
    if len(given) != 1:
        what = " and ".join(given) if given else "none of them"
        raise Unfit("ERR-CFG-035", f"wants exactly one of {', '.join(kinds)}; here is {what}")
