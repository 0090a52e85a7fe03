"""The faults of protocol reefguide.md, section 14, row by row, against a node that has nothing but its environment.

It serves TEST with what is built in. Row 14 needs files and has tests/integration/test_reefguide_files.py, row 17 needs
a handler of one's own and has test_reefguide_handlers.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.reefguide.api import PASSWORD, StandIn
from examples.reefguide.api.answers import domain
from examples.reefguide.api.faults import Kind
from examples.reefguide.api.store import Job
from tests.conftest import ROOT, eventually
from tests.nodes import is_alive, tree_of
from tests.reefguide.nodes import become, results, variables

RIVAL = {"ecsTaskArn": "an original", "ecsClusterArn": ""}


class Alone:
    """The command as a container starts it, in a folder without a configuration."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._log = folder / "node.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "supervisor"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def told(self, text: str) -> int:
        """How often a text stands in its log."""
        return self._log.read_text().count(text)

    def kill(self) -> None:
        """End it and all below it, as a power cut does."""
        if self.process.poll() is None:
            below = tree_of(self.process.pid)
            self.process.kill()
            self.process.wait()
            eventually(lambda: not any(map(is_alive, below)), within_s=40, what="all of it is gone")


@contextmanager
def alone(folder: Path, api: StandIn, **environ: str) -> Iterator[Alone]:
    node = Alone(folder, variables(api, **environ))
    try:
        yield node
    finally:
        node.kill()


class Others:
    """What others do to two jobs in the moment between the look of the API at a job and its claim."""

    def __init__(self, api: StandIn, doubled: Job, gone: Job) -> None:
        self._api = api
        self._doubled = doubled
        self._gone = gone
        self.rival: int | None = None

    def __call__(self, job: Job) -> None:
        if job is self._gone:
            raise domain(400, "Job is not available for assignment")
        if job is self._doubled and self.rival is None:
            self.rival = 0
            self.rival = self._api.store.assign({"jobId": job.id, **RIVAL}).body["assignment"]["id"]


@pytest.mark.timeout(600)
def test_a_node_of_variables_alone_survives_each_fault_of_section_14(api: StandIn, tmp_path: Path) -> None:
    store, faults = api.store, api.faults
    for number in range(12):
        store.create("ADRIA_MODEL_RUN", {"n": number})  # row 5
    good = [store.create("TEST", {"id": number}) for number in range(7)]
    late, doubled, gone = (store.create("TEST", {"id": number}) for number in range(100, 103))
    unfit = store.create("TEST", {"id": "no number"})
    store.on_look = others = Others(api, doubled, gone)
    faults.add("assign", "lose", times=3)  # row 4; one of them is a good job at least
    lost: tuple[Kind, ...] = ("lose", "error", "garble", "drop")
    for kind in lost:  # row 1
        faults.add("result", kind)
    faults.add("result", "busy", for_s=1)
    faults.add("result", "stall", for_s=3600)  # row 8
    empty = {"AWS_REGION": "", "S3_ENDPOINT": "", "SENTRY_DSN": "", "DATA_PATH": "'/data'", "CACHE_PATH": ""}  # row 15
    environ = {**empty, "MAX_CONCURRENT_JOBS": "16", "IDLE_TIMEOUT_MS": "20000"}
    with alone(tmp_path, api, **environ) as node:
        # Row 9. All at once, as a rule; a busy node has the first done before it has claimed the last.
        eventually(lambda: late.status == "IN_PROGRESS" and all(job.status != "PENDING" for job in good), within_s=90)
        late.turn("TIMED_OUT")  # row 10
        store.accounts.revoke_all()  # row 7
        for kind in lost:
            faults.add("poll", kind)
            faults.add("job", kind)
        faults.add("poll", "busy", for_s=1)
        for job in (*good, late):
            become(job, "SUCCEEDED", within_s=90)
        become(unfit, "FAILED", within_s=90)  # rows 2 and 13
        store.expiry_s = 2.0
        overdue = store.create("TEST", {"id": 200})
        become(overdue, "FAILED", within_s=90)  # row 10
        assert others.rival is not None
        store.conclude(others.rival, {"status": "SUCCEEDED", "resultPayload": {}})
        assert node.process.wait(120) == 0  # row 16, with a job in sight that is never to be had (row 6)
        assert node.told("ERR-RFG-008") == 1
        assert node.told("claim.found")
        assert (node.told("ERR-RFG-012"), node.told(PASSWORD)) == (1, 0)
    assert [results(job) for job in (*good, late)] == [[{}]] * 8
    assert [results(job) for job in (unfit, overdue)] == [[None]] * 2
    assert late.history == ["PENDING", "IN_PROGRESS", "TIMED_OUT", "SUCCEEDED"]
    assert [one.result is not None for one in doubled.assignments] == [True, False]  # row 3
    assert (gone.status, gone.assignments) == ("PENDING", [])
    assert (faults.seen["login"], store.statuses()["PENDING"]) == (1, 13)


@pytest.mark.timeout(600)
def test_a_node_of_variables_alone_survives_kills_and_stops(api: StandIn, tmp_path: Path) -> None:
    with alone(tmp_path, api, JOB_TYPES="TEST,ADRIA_MODEL_RUN") as node:  # row 12
        assert node.process.wait(60) == 78
    assert api.faults.seen.total() == 0
    kept = api.store.create("TEST", {"id": 1})
    api.faults.add("result", "error", times=1_000_000)
    with alone(tmp_path, api) as node:  # row 1
        eventually(lambda: api.faults.seen["result"], within_s=90, what="a result is posted")
        node.kill()
    api.faults.clear()
    with alone(tmp_path, api, MAX_CONCURRENT_JOBS="2") as node:
        become(kept, "SUCCEEDED", within_s=90)
        cut = api.store.create("TEST", {"id": 2})
        eventually(lambda: node.told("job.claimed") > 1, within_s=60)
        node.process.send_signal(signal.SIGTERM)  # row 11: it may end in its own time
        eventually(lambda: node.told("node.draining"), within_s=60)
        node.process.send_signal(signal.SIGTERM)  # and not any more
        assert node.process.wait(60) == 128 + signal.SIGTERM
    assert (results(kept), len(kept.assignments)) == ([{}], 1)
    assert (cut.status, results(cut)) == ("FAILED", [None])
    assert api.faults.seen["login"] == 1  # row 7
