"""Fault points: named in the environment, nothing without."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from job_item.errors import NodeError
from worker.faults import VARIABLE, WRITES, FaultPoints
from worker.journal import loans, operations, sayings, sharing

KILLED = """
from worker.faults import FaultPoints
points = FaultPoints.from_environ({"JOB_ITEM_FAULT": "claim.commit:3"})
for turn in range(1, 5):
    print(turn, flush=True)
    points.passing("commit", ["accept", "claim"])
    points.passing("begin", ["claim"])
"""


def test_without_the_variable_nothing_happens_at_any_point() -> None:
    points = FaultPoints.from_environ({})
    for name in FaultPoints.all_names:
        write, moment = name.split(".")
        points.passing(moment, [write])


@pytest.mark.parametrize("wish", ["claim", "claim.never:1", "claim.commit:x", "claim.commit:-1"])
def test_a_point_that_does_not_exist_is_refused(wish: str) -> None:
    with pytest.raises(NodeError) as caught:
        FaultPoints.from_environ({VARIABLE: wish})
    assert caught.value.code == "ERR-STO-006"


def test_the_process_is_killed_when_it_passes_the_point_for_the_nth_time() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["1", "2", "3"])


def test_every_operation_has_its_points() -> None:
    found = [kind for module in (operations, loans, sayings, sharing) for kind in vars(module).values()]
    kinds = [kind for kind in found if "write" in getattr(kind, "_field_defaults", ())]
    named = {kind._field_defaults["write"] for kind in kinds}
    assert named | {"settle", "requeue"} == set(WRITES)
