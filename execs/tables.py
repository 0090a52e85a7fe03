"""The words of an exec's life and the table of all that can happen in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Stage(StrEnum):
    """Where an exec is. There is a run (a command that was started and has not ended) in `RUNS` and nowhere else."""

    WAITING = "waiting"
    """For what it depends on."""
    STARTING = "starting"
    RUNNING = "running"
    HALTING = "halting"
    """It was asked to end, and stays stopped then."""
    TURNING = "turning"
    """It was asked to end, and is started again then."""
    FAILING = "failing"
    """It was asked to end because it is unhealthy: its end is a failure."""
    LEAVING = "leaving"
    """It is asked to end when its turn comes, and is never started again."""
    BACKOFF = "backoff"
    STOPPED = "stopped"
    """By an order."""
    DONE = "done"
    """It ended well and is not to be started again."""
    FAILED = "failed"
    """It is given up."""
    GONE = "gone"


RUNS = frozenset({Stage.STARTING, Stage.RUNNING, Stage.HALTING, Stage.TURNING, Stage.FAILING, Stage.LEAVING})


class Cue(StrEnum):
    """What happens to an exec, judged already."""

    SATISFIED = "satisfied"
    """What it depends on is as it should be."""
    STARTED = "started"
    DUE = "due"
    """The pause is over."""
    SICK = "sick"
    """So many `health` probes in a row have failed that it counts as unhealthy."""
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RENEW = "renew"
    """New settings change what is run."""
    REVIVE = "revive"
    """New settings may let what is down for good go on."""
    CLOSE = "close"
    """Never start it again."""
    RELEASE = "release"
    """Its turn to end has come."""
    AGAIN = "again"
    """Its run has ended, another follows after a pause."""
    WELL = "well"
    """Its run has ended well, no other follows."""
    GIVEN_UP = "given up"
    """Its run has ended, badly or too often, no other follows."""


class Act(StrEnum):
    """What is to be done."""

    START = "start"
    END = "end"
    """Ask the run to end: stop signal, grace, SIGKILL."""
    CASCADE = "cascade"
    """Stop the whole node."""


ORDERS = frozenset({Cue.START, Cue.STOP, Cue.RESTART})
_S, _C = Stage, Cue

LIFE_TABLE: Mapping[tuple[Stage, Cue], tuple[Stage, Act | None]] = MappingProxyType(
    {
        (_S.WAITING, _C.SATISFIED): (_S.STARTING, Act.START),
        (_S.STARTING, _C.STARTED): (_S.RUNNING, None),
        (_S.RUNNING, _C.SICK): (_S.FAILING, Act.END),
        (_S.BACKOFF, _C.DUE): (_S.WAITING, None),
        # how a run ends, when nobody asked for it and when somebody did
        **{(stage, _C.AGAIN): (_S.BACKOFF, None) for stage in (_S.STARTING, _S.RUNNING, _S.FAILING)},
        **{(stage, _C.WELL): (_S.DONE, None) for stage in (_S.STARTING, _S.RUNNING)},
        **{(stage, _C.GIVEN_UP): (_S.FAILED, None) for stage in (_S.STARTING, _S.RUNNING, _S.FAILING)},
        **{(_S.HALTING, cue): (_S.STOPPED, None) for cue in (_C.AGAIN, _C.WELL, _C.GIVEN_UP)},
        **{(_S.TURNING, cue): (_S.WAITING, None) for cue in (_C.AGAIN, _C.WELL, _C.GIVEN_UP)},
        **{(_S.LEAVING, cue): (_S.GONE, None) for cue in (_C.AGAIN, _C.WELL, _C.GIVEN_UP)},
        # orders
        **{(stage, _C.STOP): (_S.HALTING, Act.END) for stage in (_S.STARTING, _S.RUNNING)},
        **{(stage, _C.STOP): (_S.HALTING, None) for stage in (_S.TURNING, _S.FAILING)},
        **{(stage, _C.STOP): (_S.STOPPED, None) for stage in (_S.WAITING, _S.BACKOFF)},
        **{(stage, _C.START): (_S.WAITING, None) for stage in (_S.BACKOFF, _S.STOPPED, _S.DONE, _S.FAILED)},
        (_S.HALTING, _C.START): (_S.TURNING, None),
        **{(stage, _C.RESTART): (_S.TURNING, Act.END) for stage in (_S.STARTING, _S.RUNNING)},
        **{(stage, _C.RESTART): (_S.TURNING, None) for stage in (_S.HALTING, _S.TURNING, _S.FAILING)},
        **{(stage, _C.RESTART): (_S.WAITING, None) for stage in (_S.BACKOFF, _S.STOPPED, _S.DONE, _S.FAILED)},
        # new settings; what an order has stopped stays stopped
        **{(stage, _C.RENEW): (_S.TURNING, Act.END) for stage in (_S.STARTING, _S.RUNNING)},
        (_S.FAILING, _C.RENEW): (_S.TURNING, None),
        **{(stage, _C.RENEW): (_S.WAITING, None) for stage in (_S.BACKOFF, _S.DONE, _S.FAILED)},
        **{(stage, _C.REVIVE): (_S.WAITING, None) for stage in (_S.DONE, _S.FAILED)},
        # the end
        **{(stage, _C.CLOSE): (_S.LEAVING, None) for stage in RUNS},
        **{(stage, _C.CLOSE): (_S.GONE, None) for stage in Stage if stage not in RUNS},
        (_S.LEAVING, _C.RELEASE): (_S.LEAVING, Act.END),
    }
)
"""All that can happen to an exec; a pair that is not in the table changes nothing, and an order is refused there."""
