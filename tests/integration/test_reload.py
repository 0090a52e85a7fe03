"""Hot reload in the parent: real processes and real edits; the children are those of `tests.children`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.reloading import EXECS, JOBS, Start, starting, stop


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as begin:
        yield begin


# In place


def test_a_job_spec_takes_effect_without_any_restart(start: Start) -> None:
    node = start({"jobs": JOBS, "execs": EXECS})
    worker, execs = node.ready(), node.ready(room="execs")
    node.edit(jobs=[{"event": "hello", "cmd": "false"}])
    line = node.applied()
    assert line["changes"] == [{"path": "jobs.hello.cmd", "kind": "changed", "effect": "in place"}]
    assert [[int(pid), digest] for pid, digest in node.trace("worker", "adopted")] == [[worker, line["digest"]]]
    assert [[int(pid), digest] for pid, digest in node.trace("execs", "adopted")] == [[execs, line["digest"]]]
    assert (node.births(), node.births("execs")) == ([worker], [execs])
    stop(node)


def test_an_edit_is_in_force_soon(start: Start) -> None:
    node = start({"jobs": JOBS, "execs": EXECS})
    node.ready()
    node.ready(room="execs")
    took = []
    for number in range(1, 11):
        begin_s = time.monotonic()
        node.edit(jobs=[{"event": "hello", "cmd": f"exit {number}"}])
        eventually(partial(node.has_adopted, number))
        took.append(time.monotonic() - begin_s)
    assert min(took) < 1, took  # fifty milliseconds of a machine that does nothing else


def test_a_successor_has_the_newest_settings(start: Start) -> None:
    node = start({"jobs": JOBS})
    first = node.ready()
    node.edit(jobs=[])
    node.applied()
    os.kill(first, signal.SIGKILL)
    second = node.ready(2)
    node.edit(jobs=JOBS)
    node.applied(2)
    assert [int(pid) for pid, _ in node.trace("worker", "adopted")] == [first, second]


def test_a_child_that_does_not_take_settings_over_is_replaced(start: Start) -> None:
    node = start({"jobs": JOBS, "heartbeat": {"interval": 0.05, "timeout": 4}}, worker="deaf_to_adopt")
    first = node.ready()
    node.edit(jobs=[])
    node.ready(2)
    assert node.logged("child.not_renewed", code="ERR-SUP-020")
    assert node.logged("child.retired", pid=first)
    node.applied()


def test_rules_of_the_parent_change_with_the_file(start: Start) -> None:
    node = start({"drain_grace": 30}, worker="deaf_to_drain")
    node.ready()
    node.edit(drain_grace=0)
    node.applied()
    node.signal(signal.SIGTERM)
    bounds = eventually(lambda: [line["bound_s"] for line in node.logged("node.draining")])
    assert bounds == [pytest.approx(10.0)]
    node.signal(signal.SIGTERM)
    assert node.end() == 128 + signal.SIGTERM


# Faults


def test_an_invalid_file_keeps_the_old_settings_and_the_next_good_one_clears_the_faults(start: Start) -> None:
    node = start({"jobs": JOBS}, worker="orders")
    worker = node.ready()
    node.write("jobs: [{event: hello}]\nlimits: {concurrency: none}\n")
    eventually(lambda: len(node.logged("settings.rejected")) == 2)
    assert {line["code"] for line in node.logged("settings.rejected")} == {"ERR-CFG-006", "ERR-CFG-005"}
    assert all(str(node.config) in line["at"] for line in node.logged("settings.rejected"))
    answer = node.order(number=1, is_dry=False)
    assert "ERR-CFG-006" in answer
    assert not node.logged("settings.applied")
    node.edit(jobs=[])
    node.applied()
    assert node.births() == [worker]
    assert "faults=()" in node.order(number=2, is_dry=False)
    stop(node)


@pytest.mark.parametrize("content", ["", "\n", "# later\n"])
def test_an_emptied_file_is_refused(start: Start, content: str) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    node.write(content)
    assert node.rejected()["code"] == "ERR-CFG-029"


def test_who_saves_another_file_with_the_same_fault_is_told_again(start: Start) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    node.write("")
    first = node.rejected()
    node.write("# later\n")
    second = node.rejected(2)
    assert (first["code"], first["at"]) == (second["code"], second["at"])


def test_a_deleted_file_is_said_once_and_taken_when_it_is_back(start: Start) -> None:
    node = start({"jobs": JOBS, "heartbeat": {"interval": 0.05, "timeout": 5}})
    node.ready()
    node.config.unlink()
    assert node.rejected()["code"] == "ERR-CFG-001"
    time.sleep(0.5)  # the stretch of time that is looked at
    assert len(node.logged("settings.rejected")) == 1
    node.edit(jobs=[])
    node.applied()


def test_the_same_bytes_again_and_a_touch_change_nothing(start: Start) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    node.write(node.config.read_text())
    eventually(lambda: node.logged("settings.unchanged"))
    node.config.touch()
    eventually(lambda: len(node.logged("settings.unchanged")) >= 2)
    assert not node.trace("worker", "adopted")


def test_a_reader_that_is_killed_harms_nothing(start: Start) -> None:
    node = start({"jobs": JOBS})
    worker = node.ready()
    fifo = node.config.with_name(".env")
    os.mkfifo(fifo)  # whoever reads it waits
    node.signal(signal.SIGHUP)
    (forkserver,) = children_of(node.pid)
    reader = eventually(lambda: [pid for pid in children_of(forkserver) if pid != worker])[0]
    os.kill(reader, signal.SIGKILL)
    assert node.rejected()["code"] == "ERR-SUP-021"
    fifo.unlink()
    node.edit(jobs=[])
    node.applied()
    assert node.births() == [worker]


def test_a_reader_that_hangs_is_killed_and_the_next_one_goes_on(start: Start) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    fifo = node.config.with_name(".env")
    os.mkfifo(fifo)
    node.signal(signal.SIGHUP)
    assert node.rejected()["code"] == "ERR-SUP-021"
    fifo.unlink()
    node.edit(jobs=[])
    node.applied()


# What asks for it


def test_sighup_reads_again_also_where_edits_are_not_watched(start: Start) -> None:
    node = start({"jobs": JOBS, "reload": "manual"})
    worker = node.ready()
    node.edit(jobs=[])
    time.sleep(0.3)  # the stretch of time that is looked at
    assert not node.logged("settings.applied")
    node.signal(signal.SIGHUP)
    node.applied()
    node.edit(reload="auto")
    node.signal(signal.SIGHUP)
    node.applied(2)
    node.edit(jobs=JOBS)
    node.applied(3)
    assert node.births() == [worker]
    stop(node)


def test_an_order_is_answered_with_what_it_did(start: Start) -> None:
    node = start({"jobs": JOBS, "reload": "manual"}, worker="orders")
    node.ready()
    node.edit(jobs=[{"event": "other", "cmd": "true"}], drain_grace=7)
    dry = node.order(number=1, is_dry=True)
    assert "jobs.hello" in dry
    assert not node.logged("settings.applied")
    done = node.order(number=2, is_dry=False)
    for path in ("jobs.hello", "jobs.other", "drain_grace"):
        assert path in done
    assert len(node.logged("settings.applied")) == 1
    assert "changes=()" in node.order(number=3, is_dry=False)


def test_a_candidate_is_judged_as_if_it_stood_in_the_place_of_the_file(start: Start, tmp_path: Path) -> None:
    node = start({"jobs": JOBS, "state_dir": ".job_item"}, worker="orders")
    node.ready()
    candidate = tmp_path / "elsewhere" / "new.yaml"
    candidate.parent.mkdir()
    candidate.write_text(node.config.read_text().replace("event: hello", "event: other"))
    answer = node.order(number=1, is_dry=True, candidate=str(candidate))
    assert "jobs.other" in answer
    assert "state_dir" not in answer
    candidate.write_text("jobs: 7")
    assert "ERR-CFG-005" in node.order(number=2, is_dry=True, candidate=str(candidate))
    assert not node.logged("settings.rejected")


def test_orders_for_execs_are_carried_and_answered(start: Start) -> None:
    node = start({"execs": EXECS}, worker="orders")
    node.ready()
    execs = node.ready(room="execs")
    assert node.order(number=7, key="sample", verb="restart") == "None"
    assert node.trace("execs", "order") == [[str(execs), "sample", "restart"]]
    draft = node.state_dir / "order.new"
    draft.write_text('{"number": 8, "key": "sample", "verb": "stop"}')
    draft.replace(node.state_dir / "order")
    eventually(lambda: len(node.trace("execs", "order")) == 2)
    os.kill(execs, signal.SIGKILL)
    answer = eventually(lambda: [row for row in node.trace("worker", "answer") if row[1] == "8"])
    assert "ERR-SUP-022" in " ".join(answer[0])


def test_without_execs_an_order_for_them_is_refused(start: Start) -> None:
    node = start({}, worker="orders")
    node.ready()
    assert "ERR-SUP-022" in node.order(number=1, key="sample", verb="restart")
