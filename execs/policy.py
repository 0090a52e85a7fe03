"""The life of one exec: state x event -> state + actions, pure.

Time comes in as `now_s` (monotonic seconds), chance as `draw` (in [0, 1)). A **row** is a sequence of starts without a
stable run among them; `attempt` bounds its length. A stable run and an order begin a new one; after a stable run the
next follows at once. This differs from the Go worker on purpose (protocol job-item.md, sections 5.3 and 9.4, O10):
docs/execs.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from execs.tables import LIFE_TABLE, ORDERS, RUNS, Act, Cue, Stage
from job_item.execspec import Exec
from job_item.policy import Backoff
from job_item.probespec import HealthProbe, ReadyProbe

JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of an exec's life."""

    restart: str
    attempts: int
    pauses: Backoff
    stable_s: float
    cascades: bool
    ready: ReadyProbe | None
    health: HealthProbe | None

    @classmethod
    def of(cls, spec: Exec) -> Rules:
        """The rules of one exec."""
        return cls(
            restart=spec.restart,
            attempts=spec.attempt,
            pauses=Backoff(spec.backoff, 2.0, spec.backoff_max, JITTER),
            stable_s=spec.stable,
            cascades=spec.cascade_exit,
            ready=spec.ready,
            health=spec.health,
        )


@dataclass(frozen=True, slots=True)
class Started:
    """The command runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has ended, and nothing is left of its tree. `exit_code` is None when no exit code tells how."""

    exit_code: int | None
    why: str


@dataclass(frozen=True, slots=True)
class BecameReady:
    """The `ready` probe has said yes."""


@dataclass(frozen=True, slots=True)
class StillUnready:
    """The `ready` probe has said no, or nothing in time."""

    why: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A `health` probe has answered."""

    is_well: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """New settings. `is_other_run`: what is run changes with them, not only how it is watched."""

    rules: Rules
    is_other_run: bool


Event = Started | Ended | BecameReady | StillUnready | Examined | Ticked | Ruled | Cue


@dataclass(frozen=True, slots=True)
class Life:
    """Where an exec is in its life.

    `tries` counts the starts of the row; `pause_s` is the last pause in it. `stable_s` is when the run becomes stable,
    `due_s` when the pause is over. `why` says in words how the last run ended, or what is wrong with this one.
    """

    rules: Rules
    stage: Stage = Stage.WAITING
    tries: int = 0
    pause_s: float = 0.0
    stable_s: float | None = None
    due_s: float | None = None
    pid: int | None = None
    exit_code: int | None = None
    is_ready: bool = False
    health: str | None = None
    failures: int = 0
    """Probes of `health` in a row that have failed."""
    why: str = ""

    @property
    def has_run(self) -> bool:
        """Whether a command was started that has not ended."""
        return self.stage in RUNS

    def next_deadline_s(self) -> float | None:
        """When `Ticked` must come; None when nothing is due."""
        return self.due_s if self.stable_s is None else self.stable_s

    def takes(self, order: Cue) -> bool:
        """Whether an order makes sense now."""
        return order in ORDERS and (self.stage, order) in LIFE_TABLE


Step = tuple[Life, tuple[Act, ...]]


def step(life: Life, event: Event, now_s: float, draw: float = 0.0) -> Step:
    """Decide what an event changes and what is to be done about it."""
    match event:
        case Started(pid):
            if not life.has_run:
                return life, ()
            life = replace(life, pid=pid, stable_s=now_s + life.rules.stable_s)
            return _cue(replace(life, is_ready=life.rules.ready is None), Cue.STARTED)
        case Ended():
            return _end(life, event, now_s, draw) if life.has_run else (life, ())
        case BecameReady():
            return (replace(life, is_ready=True, why=""), ()) if life.stage is Stage.RUNNING else (life, ())
        case StillUnready(why):
            waits = life.stage is Stage.RUNNING and not life.is_ready
            return (replace(life, why=f"not ready: {why}"), ()) if waits else (life, ())
        case Examined():
            return _examine(life, event) if life.stage is Stage.RUNNING else (life, ())
        case Ticked():
            return _tick(life, now_s)
        case Ruled():
            return _rule(life, event)
        case Cue():
            return _cue(life, event)


def _cue(life: Life, cue: Cue) -> Step:
    """Look a cue up in the table and do what every change of stage needs."""
    row = LIFE_TABLE.get((life.stage, cue))
    if row is None:
        return life, ()
    stage, act = row
    if cue in ORDERS or cue in (Cue.RENEW, Cue.REVIVE):
        life = replace(life, tries=0, pause_s=0.0)
    if act is Act.START:
        life = replace(life, tries=life.tries + 1, exit_code=None, why="")
    if stage is not Stage.BACKOFF:
        life = replace(life, due_s=None)
    cascades = stage in (Stage.DONE, Stage.FAILED) and life.rules.cascades
    acts = (act, Act.CASCADE if cascades else None)
    return replace(life, stage=stage), tuple(act for act in acts if act is not None)


def _tick(life: Life, now_s: float) -> Step:
    if life.stable_s is not None and now_s >= life.stable_s:
        life = replace(life, stable_s=None, tries=min(life.tries, 1), pause_s=0.0)
    if life.due_s is not None and now_s >= life.due_s:
        return _cue(life, Cue.DUE)
    return life, ()


def _end(life: Life, event: Ended, now_s: float, draw: float) -> Step:
    """A run is over: what follows depends on how it ended, on the policy, and on the length of the row."""
    life, _ = _tick(life, now_s)
    was_stable = life.pid is not None and life.stable_s is None
    is_clean = event.exit_code == 0 and life.stage is not Stage.FAILING
    why = life.why if life.stage is Stage.FAILING else event.why
    life = replace(life, pid=None, stable_s=None, exit_code=event.exit_code, why=why)
    life = replace(life, is_ready=False, health=None, failures=0)
    policy = life.rules.restart
    if is_clean and policy != "always":
        return _cue(life, Cue.WELL)
    is_row_used_up = life.tries >= life.rules.attempts and not (is_clean and was_stable)
    if policy == "never" or is_row_used_up:
        return _cue(life, Cue.GIVEN_UP)
    delay_s = 0.0 if was_stable else life.rules.pauses.delay_s(life.tries, draw)
    pause_s = max(life.pause_s, delay_s)  # chance makes none shorter than the one before
    tries = 0 if is_clean and was_stable else life.tries
    life, acts = _cue(life, Cue.AGAIN)
    if life.stage is Stage.BACKOFF:
        life = replace(life, tries=tries, pause_s=pause_s, due_s=now_s + pause_s)
    return life, acts


def _examine(life: Life, event: Examined) -> Step:
    if event.is_well:
        return replace(life, health="healthy", failures=0, why=""), ()
    life = replace(life, failures=life.failures + 1)
    if life.rules.health is None or life.failures < life.rules.health.failures:
        return life, ()
    return _cue(replace(life, health="unhealthy", why=f"unhealthy: {event.why}"), Cue.SICK)


def _rule(life: Life, event: Ruled) -> Step:
    """Take new rules over. What is down for good is tried again under them, unless it ended well and need not run."""
    before = life.rules
    life = replace(life, rules=event.rules)
    if event.rules.pauses != before.pauses:
        life = replace(life, pause_s=0.0)
    if life.stable_s is not None:
        life = replace(life, stable_s=life.stable_s - before.stable_s + event.rules.stable_s)
    if event.rules.ready != before.ready:
        life = replace(life, is_ready=life.pid is not None and event.rules.ready is None)
    if event.rules.health != before.health:
        life = replace(life, health=None, failures=0)
    if event.is_other_run:
        return _cue(life, Cue.RENEW)
    if life.stage is Stage.FAILED or (life.stage is Stage.DONE and event.rules.restart == "always"):
        return _cue(life, Cue.REVIVE)
    return life, ()
