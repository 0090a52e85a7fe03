"""New settings come into force in a real job child, while it works."""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_item.link import Adopt, Adopted, Beat, Cancel, Drain, Drained, Ready, Swept
from job_item.template import compile_command
from supervisor.forkserver import Forkserver
from tests.conftest import eventually
from tests.workers import Parent, births, parent_of

WAIT = "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo {{word}}"


def job(event: str, cmd: str, **members: Any) -> dict[str, Any]:
    return {"event": event, "cmd": cmd, "kill_grace": 0.2, **members}


@pytest.fixture(scope="module")
def born() -> Iterator[Forkserver]:
    with births() as made:
        yield made


@pytest.fixture
def parent(tmp_path: Path, born: Forkserver) -> Iterator[Parent]:
    jobs = [job("a", "echo one"), job("wait", WAIT)]
    with parent_of(tmp_path, born, jobs=jobs, limits={"concurrency": 2}) as parent:
        yield parent


def output(parent: Parent, event: str, **data: Any) -> str:
    task_id = parent.submit(event, **data)
    assert parent.await_status(task_id)["status"] == "finish"
    return parent.output(task_id)


def test_jobs_are_added_changed_and_removed(parent: Parent) -> None:
    assert output(parent, "a") == "one\n"
    parent.adopt(jobs=[job("a", "echo two"), job("b", "echo new")])
    assert (output(parent, "a"), output(parent, "b")) == ("two\n", "new\n")
    parent.adopt(jobs=[job("b", "echo newer")])
    status, answer = parent.trigger("a")
    assert (status, answer["code"]) == (400, "ERR-JOB-001")
    assert output(parent, "b") == "newer\n"


def test_a_running_job_ends_as_it_began_and_what_waited_runs_by_the_newest_word(parent: Parent) -> None:
    parent.adopt(jobs=[job("wait", WAIT, concurrency=1)])
    first, second = parent.submit("wait", word="old"), parent.submit("wait", word="old")
    parent.await_status(first, "running")
    parent.adopt(jobs=[job("wait", "echo new", concurrency=1)])
    assert parent.job(second)["status"] == "queued"
    (parent.folder / "go").touch()
    assert parent.await_status(second)["status"] == "finish"
    assert (parent.output(first), parent.output(second)) == ("begun\nold\n", "new\n")


def test_the_jobs_of_an_event_that_is_removed_are_kept_and_told(parent: Parent) -> None:
    parent.adopt(jobs=[job("wait", WAIT, concurrency=1)])
    first, second = parent.submit("wait", word="x"), parent.submit("wait", word="x")
    parent.await_status(first, "running")
    parent.adopt(jobs=[])
    (line,) = [line for line in parent.told() if line["event"] == "queue.stranded"]
    assert (line["code"], line["job_event"]) == ("ERR-JOB-001", "wait")
    (parent.folder / "go").touch()
    assert parent.await_status(first)["status"] == "finish"
    assert parent.job(second)["status"] == "queued"
    parent.adopt(jobs=[job("wait", "echo back")])
    assert parent.await_status(second)["status"] == "finish"
    assert parent.output(second) == "back\n"


def test_limits_of_slots_and_queue_go_up_and_down(parent: Parent) -> None:
    tasks = [parent.submit("wait", word="x") for _ in range(4)]

    def running() -> int:
        return sum(parent.job(task_id)["status"] == "running" for task_id in tasks)

    eventually(lambda: running() == 2)
    parent.adopt(limits={"concurrency": 3, "queue": 1})
    eventually(lambda: running() == 3)
    status, answer = parent.trigger("wait", word="x")
    assert (status, answer["code"]) == (503, "ERR-JOB-004")
    parent.adopt(limits={"concurrency": 1, "queue": 9})
    tasks.append(parent.submit("wait", word="x"))
    assert running() == 3
    (parent.folder / "go").touch()
    assert all(parent.await_status(task_id)["status"] == "finish" for task_id in tasks)


def test_the_environment_and_the_log_are_taken_over_with_their_secrets(
    tmp_path: Path, born: Forkserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_PASSED", "passed")
    jobs = [job("show", 'echo "$ONE $TWO"')]
    with parent_of(tmp_path, born, jobs=jobs, log={"level": "ERROR"}) as parent:
        assert output(parent, "show") == " \n"
        assert parent.told() == []
        settings = pickle.loads(parent.edit(log={"level": "DEBUG"}))
        packed = pickle.dumps(replace(settings, dotenv={"ONE": "1", "TWO": "two", "API_TOKEN": "hide-me-please"}))
        parent.say(Adopt(packed))
        parent.hear(Adopted)
        assert output(parent, "show") == "1 two\n"
        eventually(lambda: {"job.started", "job.finished"} <= {line["event"] for line in parent.told()})
        parent.submit("show", word="x")
        parent.trigger("hide-me-please")
        assert "hide-me-please" not in parent.log.read_text()


@pytest.mark.parametrize("packed", [b"no pickle", pickle.dumps({"no": "start"})])
def test_settings_that_cannot_be_taken_over_end_the_child_as_a_bug(packed: bytes, parent: Parent) -> None:
    parent.say(Adopt(packed))
    assert parent.end() == 70
    (line,) = [line for line in parent.told() if line["event"] == "worker.died"]
    assert line["code"] == "ERR-LNK-002"
    parent.edit(jobs=[job("b", "echo newest")])
    parent.bear()
    assert output(parent, "b") == "newest\n"


def test_settings_before_the_sweep_hold_for_what_is_recovered(parent: Parent) -> None:
    task_id = parent.submit("wait", word="x")
    parent.await_status(task_id, "running")
    parent.child.kill()
    assert parent.end() == -9
    parent.bear(is_swept=False)
    parent.adopt(jobs=[job("wait", "echo never", on_lost="error"), job("a", "echo two")])
    late = parent.submit("a")
    parent.say(Swept())
    record = parent.await_status(task_id)
    assert (record["status"], record["error"]["code"]) == ("error", "ERR-RUN-020")
    parent.await_status(late)
    assert parent.output(late) == "two\n"


def test_settings_come_while_the_journal_is_shut(tmp_path: Path, born: Forkserver) -> None:
    with parent_of(tmp_path, born, jobs=[job("a", "echo one")]) as parent:
        parent.child.kill()
        parent.end()
        with closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            parent.bear(is_swept=False)
            assert parent.ask("GET", "/readyz")[0] == 503
            parent.adopt(jobs=[job("b", "echo new")])
            assert parent.trigger("b")[0] == 503
        parent.say(Swept())
        eventually(lambda: parent.ask("GET", "/readyz")[0] == 200)
        assert output(parent, "b") == "new\n"
        assert parent.trigger("a")[0] == 400


def test_settings_come_while_the_child_drains(parent: Parent) -> None:
    task_id = parent.submit("wait", word="x")
    parent.await_status(task_id, "running")
    parent.say(Drain(60.0))
    parent.adopt(jobs=[], limits={"concurrency": 9})
    assert parent.trigger("a")[0] == 400
    parent.say(Cancel())
    parent.hear(Drained)
    assert parent.end() == 0


def test_settings_that_come_one_after_the_other_end_with_the_last(parent: Parent) -> None:
    packed = [parent.edit(jobs=[job("a", f"echo {number}")], log={"level": "DEBUG"}) for number in range(30)]
    for each in packed:
        parent.say(Adopt(each))
    digests = [parent.hear(Adopted).digest for _ in packed]
    assert digests == [str(number) for number in range(1, 31)]
    assert output(parent, "a") == "29\n"


def test_the_api_goes_on_while_a_thousand_specs_change(parent: Parent) -> None:
    cmd = "echo {{a}} \"{{b}}\" '{{c}}' | cat"
    most_s, is_done = 0.0, threading.Event()
    began_s = time.process_time()
    for _ in range(1000):
        compile_command(cmd)
    at_once_s = time.process_time() - began_s

    def ask() -> None:
        nonlocal most_s
        with closing(parent.connect()) as connection:
            while not is_done.is_set():
                began_s = worked_s(parent.child.pid)
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                most_s = max(most_s, worked_s(parent.child.pid) - began_s)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for turn in range(3):
            jobs = [job(f"e{number}", cmd, env={"TOKEN": f"secret {number} of {turn}"}) for number in range(1000)]
            parent.adopt(jobs=jobs)
    finally:
        is_done.set()
        asker.join()
    assert output(parent, "e999", a=1, b=2, c=3) == "1 2 3\n"
    assert most_s < at_once_s / 2


def worked_s(pid: int) -> float:
    """The processor time of a process' main thread, in which its loop turns: other processes do not add to it."""
    words = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_heartbeat_is_as_often_as_the_newest_settings_say(parent: Parent) -> None:
    parent.adopt(heartbeat={"interval": 0.01, "timeout": 20})
    for _ in range(5):
        parent.hear(Beat)
    assert parent.hears_nothing_of(Ready)
