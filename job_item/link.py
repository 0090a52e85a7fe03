"""Messages between the parent and its children, and the link that carries them.

The link is also the leash: end-of-file on it means that the other side is gone (architecture, rule 7). Both ends are
processes of one node that run the same code, so messages are pickled.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from urllib.parse import quote

from job_item.handlers.roster import Cast
from job_item.orders import Answer, ExecOrder, Order
from job_item.redact import secret_values
from job_item.reload import SettingsState

if TYPE_CHECKING:
    from job_item.manager.answer import Registration
    from job_item.settings import Settings


class Connection(Protocol):
    """What of a `multiprocess` connection the link uses."""

    def send_bytes(self, buf: bytes) -> None:
        """Send one message."""

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Wait for one message."""

    def fileno(self) -> int:
        """The descriptor to wait on."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class ChildStart:
    """What a child is born with. `incarnation` is fresh for each birth and never reused."""

    settings: Settings
    config_path: Path
    state_dir: Path
    work_dir: Path
    identity: str
    incarnation: str
    dotenv: Mapping[str, str]
    """What the file `.env` beside the configuration says; jobs and execs get it."""
    base_url: str
    """Where jobs and execs reach the local API, `http://127.0.0.1:<port>`."""
    supervisor_pid: int | None
    """None where the room was started alone, by hand."""
    started_at: float
    """When the node was started, `time.monotonic()` of this machine (the clock is one for all processes)."""
    cast: Cast = Cast()
    """The handlers that jobs may name."""
    registered: Mapping[str, Registration] | None = None
    """The events that the Job Manager knows; None without one: then every event of this node counts."""
    digest: str = ""
    """Of everything that makes the settings what they are: the file, `.env`, secret files, variables."""

    def secrets(self) -> tuple[str, ...]:
        """All values that no log line may show."""
        return (*self.settings.secrets(), *secret_values(self.dotenv))

    def local_url(self) -> str:
        """Where this node's jobs and execs reach its API: with the token in the path where the API asks for one."""
        token = self.settings.api.token
        return self.base_url if token is None else f"{self.base_url}/t/{quote(token.get_secret_value(), safe='')}"


# parent -> child


@dataclass(frozen=True, slots=True)
class Swept:
    """Nothing is left of the predecessor's tree: jobs and execs may be started."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Take nothing new, let what runs end, then say `Drained`; after `grace_s` seconds end it."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """End what runs now (TERM, grace, KILL), then say `Drained`."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Write to the log what you hold: the answer of a room to SIGUSR1."""


@dataclass(frozen=True, slots=True)
class Retire:
    """A successor with new settings follows: start nothing new, but go on accepting what the successor will run. Let
    what runs end, however long that takes, then say `Drained` and end. The execs child stops its commands instead.
    """


@dataclass(frozen=True, slots=True)
class WhenIdle:
    """Start nothing more from the first moment on in which no job runs, and say `Idle` then; `Retire` follows it."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """New settings that can be taken over in place: `packed` is a pickled `ChildStart`. Answered with `Adopted`."""

    packed: bytes


@dataclass(frozen=True, slots=True)
class NodeState:
    """What the job child cannot know of itself and shows in `/healthz` and `/execs`."""

    worker_pid: int | None
    execs_pid: int | None
    execs: tuple[ExecState, ...] = ()
    settings: SettingsState = SettingsState()
    births: tuple[tuple[str, int], ...] = ()
    """How often the process of each room was started since the node was."""


# child -> parent


@dataclass(frozen=True, slots=True)
class Ready:
    """The child does its work: the API answers, or the execs room watches its commands."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The child's loop turns. Sent every `heartbeat.interval` seconds."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No job runs, and none is started any more."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing runs any more; the child ends itself with exit code 0 right after."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """The settings with this digest are in force in the child."""

    digest: str


@dataclass(frozen=True, slots=True)
class StopNode:
    """Stop the whole node, drained, with this exit code (76: cascade stop, 0: somebody who may has asked for it)."""

    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExecState:
    """One background command as `GET /execs` shows it; `since` is seconds since the epoch."""

    key: str
    name: str
    state: str
    """waiting, starting, running, backoff, stopped or failed."""
    pid: int | None
    attempts: int
    exit_code: int | None
    since: float
    ready: bool = False
    """Whether its `ready` probe has said yes in this run; without a probe, whether it runs."""
    health: str | None = None
    """healthy or unhealthy, None where there is no `health` probe or it has not answered yet."""
    reason: str | None = None
    """Why it is where it is, in words for people: what it waits for, how it ended."""


@dataclass(frozen=True, slots=True)
class ExecStates:
    """All execs, sent by the execs child whenever one changes."""

    execs: tuple[ExecState, ...]


Out = TypeVar("Out")
In = TypeVar("In")

ToChild = Swept | Drain | Cancel | Dump | Retire | WhenIdle | Adopt | NodeState | ExecOrder | Answer
"""`ExecOrder` goes to the execs child, `Answer` to the job child that gave the order."""
ToParent = Ready | Beat | Idle | Drained | Adopted | StopNode | ExecStates | Order | Answer
"""Orders come from the job child (its API), answers from the execs child."""


class Link(Generic[Out, In]):
    """One end of the pipe between the parent and a child."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._connection.fileno()

    def send(self, message: Out) -> bool:
        """Send `message`; False when the other side is gone."""
        try:
            self._connection.send_bytes(pickle.dumps(message))
        except OSError:
            return False
        return True

    def receive(self) -> In | None:
        """Take the next message, waiting for it; None when the other side is gone."""
        try:
            message: In = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - both ends are this node
        except (EOFError, OSError):
            return None
        return message

    def close(self) -> None:
        """Let go of the pipe."""
        self._connection.close()
