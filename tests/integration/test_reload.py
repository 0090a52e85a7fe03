"""Hot reload in the parent: real processes and real edits; the children are those of `tests.children`."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from job_item.process import children_of, is_portable
from job_item.state import StateFolder
from tests.conftest import eventually, free_port
from tests.integration.test_parent import ask
from tests.reloading import Reloading

exact = pytest.mark.skipif(is_portable(), reason="the portable path looks once a second and starts readers slowly")
JOBS = [{"event": "hello", "cmd": "true"}]
EXECS = [{"key": "sample", "cmd": "true"}]
Start = Callable[..., Reloading]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start nodes; nothing of them is left behind."""
    nodes: list[Reloading] = []

    def begin(settings: dict[str, Any] | None = None, **options: Any) -> Reloading:
        nodes.append(Reloading(tmp_path / f"node-{len(nodes)}", settings or {}, **options))
        return nodes[-1]

    yield begin
    for node in nodes:
        while left := node.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        node.process.communicate(timeout=10)


def stop(node: Reloading) -> None:
    node.signal(signal.SIGTERM)
    assert node.end() == 0
    assert "Traceback" not in node.told()


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


@exact
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
    assert sorted(took)[4] < 0.25, took


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
    node = start(
        {"jobs": JOBS, "heartbeat": {"interval": 0.05, "timeout": 4 if is_portable() else 1}}, worker="deaf_to_adopt"
    )
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
    eventually(lambda: len(node.logged("settings.unchanged")) == 2)
    assert not node.trace("worker", "adopted")


@exact
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


@exact
def test_a_reader_that_hangs_is_killed_and_the_next_one_goes_on(start: Start) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    fifo = node.config.with_name(".env")
    os.mkfifo(fifo)
    node.signal(signal.SIGHUP)
    line = eventually(lambda: node.logged("settings.rejected"), within_s=20)[0]
    assert line["code"] == "ERR-SUP-021"
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


# Children that come, go and are replaced


def test_the_execs_child_comes_with_the_first_exec_and_goes_with_the_last(start: Start) -> None:
    node = start({"jobs": JOBS})
    worker = node.ready()
    node.edit(execs=EXECS)
    execs = node.ready(room="execs")
    eventually(lambda: [str(worker), str(worker), str(execs), "0"] in node.trace("worker", "state"))
    node.edit(execs=None)
    eventually(lambda: node.logged("child.ended", child="execs", exit_code=0))
    eventually(lambda: node.trace("worker", "state")[-1] == [str(worker), str(worker), "None", "0"])
    node.edit(execs=EXECS)
    node.ready(2, room="execs")
    assert node.births() == [worker]
    stop(node)


def test_what_a_job_child_cannot_take_over_replaces_it_when_its_jobs_have_ended(start: Start) -> None:
    node = start({"jobs": JOBS, "execs": EXECS})
    first, execs = node.ready(), node.ready(room="execs")
    (node.state_dir / "busy").touch()
    node.edit(api={"port": 0, "token": "correct-horse"})
    effects = ("restarts the job child", "restarts the execs that see it")
    assert node.applied()["changes"] == [{"path": "api.token", "kind": "changed", "effect": word} for word in effects]
    eventually(lambda: node.trace("worker", "retire"))
    node.edit(jobs=[])  # a newer one comes meanwhile
    newest = node.applied(2)["digest"]
    assert node.births() == [first]
    (node.state_dir / "busy").unlink()
    second = node.ready(2)
    assert node.logged("child.retired", pid=first)
    assert not node.logged("child.died")
    eventually(lambda: node.token() == "correct-horse")
    eventually(lambda: node.trace("execs", "adopted")[-1] == [str(execs), newest])
    assert (node.births(), node.births("execs")) == ([first, second], [execs])
    assert "correct-horse" not in node._log.read_text()
    stop(node)


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_a_stop_while_a_child_retires_ends_the_node(start: Start, signals: int) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    (node.state_dir / "busy").touch()
    node.edit(work_dir=str(node.config.parent.parent))
    eventually(lambda: node.trace("worker", "retire"))
    for _ in range(signals):
        node.signal(signal.SIGTERM)
    assert node.end() in (0, 128 + signal.SIGTERM)
    assert len(node.births()) == 1


def test_a_retiring_child_that_crashes_has_a_successor_with_the_new_settings(start: Start) -> None:
    node = start({"jobs": JOBS})
    first = node.ready()
    (node.state_dir / "busy").touch()
    node.edit(sync="full")
    eventually(lambda: node.trace("worker", "retire"))
    os.kill(first, signal.SIGKILL)
    node.ready(2)
    assert node.logged("child.died", pid=first)
    node.applied()
    assert len(node.births()) == 2


def test_a_new_port_is_bound_first_and_the_old_one_closed_afterwards(start: Start) -> None:
    node = start({"jobs": JOBS}, worker="answers")
    first = node.ready()
    old, port = node.url(), free_port()
    node.edit(api={"port": port})
    node.applied()
    assert ask(old) == first
    os.kill(first, signal.SIGKILL)  # this child of the tests knows nothing of retiring
    second = node.ready(2)
    eventually(lambda: node.url().endswith(f":{port}"))
    assert ask(node.url()) == second
    assert node.logged("api.moved", url=f"http://127.0.0.1:{port}")
    with pytest.raises(ConnectionRefusedError):
        ask(old)


def test_a_taken_port_is_a_fault_and_the_old_one_stays(start: Start) -> None:
    node = start({"jobs": JOBS}, worker="answers")
    first = node.ready()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node.edit(api={"port": taken.getsockname()[1]})
        assert node.rejected()["code"] == "ERR-SUP-008"
    assert ask(node.url()) == first
    assert node.births() == [first]


def test_another_address_with_the_same_port_and_back(start: Start) -> None:
    port = free_port()
    node = start({"jobs": JOBS, "api": {"port": port}})
    node.ready()
    for number, host in enumerate(("127.0.0.2", "127.0.0.1"), 1):
        node.edit(api={"port": port, "host": host})
        node.applied(number)
        node.ready(number + 1)
        eventually(partial(node.is_at, f"http://{host}:{port}"))
    stop(node)


def test_a_port_that_is_taken_back_while_the_child_still_retires(start: Start) -> None:
    node = start({"jobs": JOBS, "api": {"port": (first := free_port())}})
    node.ready()
    (node.state_dir / "busy").touch()
    node.edit(api={"port": free_port()})
    node.applied(1)
    node.edit(api={"port": first})
    node.applied(2)
    (node.state_dir / "busy").unlink()
    node.ready(2)
    assert node.url().endswith(f":{first}")
    stop(node)


def test_a_new_state_folder_is_locked_first_and_the_old_one_let_go_at_the_end(start: Start, tmp_path: Path) -> None:
    node = start({"jobs": JOBS, "execs": EXECS})
    node.ready()
    node.ready(room="execs")
    other = tmp_path / "state"
    node.edit(state_dir=str(other))
    effects = [change["effect"] for change in node.applied()["changes"] if change["path"] == "state_dir"]
    assert effects == ["restarts the job child", "restarts the execs child"]
    for room in ("worker", "execs"):
        eventually(partial(node.is_ready_at, other, room))
    eventually((other / "node.json").exists)
    info = StateFolder(other).read_node()
    assert info is not None
    assert info.pid == node.pid
    assert (other / "node.lock").read_text().strip() == str(node.pid)
    eventually(lambda: not (node.state_dir / "node.json").exists())
    StateFolder(node.state_dir).lock("node").release()
    stop(node)
    assert not (other / "node.json").exists()


def test_a_node_whose_new_state_folder_waits_for_a_job_is_found_through_both_folders(
    start: Start, tmp_path: Path
) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    (node.state_dir / "busy").touch()
    before, other = StateFolder(node.state_dir).read_node(), StateFolder(tmp_path / "state")
    node.edit(state_dir=str(other.path))
    node.applied()
    assert before is not None
    assert other.read_node() == before
    assert StateFolder(node.state_dir).read_node() == before
    (node.state_dir / "busy").unlink()
    eventually(lambda: not (node.state_dir / "node.json").exists())
    assert other.read_node() is not None
    stop(node)


def test_doubts_that_were_told_are_not_told_again(start: Start) -> None:
    node = start()
    node.ready()
    for number, command in enumerate(("ls {{name}}", "ls {{name}}", "ls -l {{name}}"), start=1):
        node.edit(jobs=[{"event": "list", "cmd": command, "timeout": number}])
        node.applied(number)
    assert len(node.logged("settings.doubted")) == 2
    stop(node)


def test_a_state_folder_in_use_is_a_fault(start: Start, tmp_path: Path) -> None:
    node = start({"jobs": JOBS})
    worker = node.ready()
    other = tmp_path / "state"
    other.mkdir(mode=0o700)
    lock = StateFolder(other).lock("node")
    node.edit(state_dir=str(other))
    assert node.rejected()["code"] == "ERR-SUP-005"
    lock.release()
    assert node.births() == [worker]


def test_no_connection_is_refused_while_children_are_replaced(start: Start) -> None:
    node = start({"jobs": JOBS, "api": {"port": (port := free_port())}})
    node.ready()
    refused: list[OSError] = []
    done = threading.Event()

    def knock() -> None:
        while not done.wait(0.01):  # nobody accepts here, and the line holds a thousand
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError as error:
                refused.append(error)

    knocker = threading.Thread(target=knock)
    knocker.start()
    try:
        for number in range(1, 11):
            node.edit(api={"port": port, "token": f"secret-number-{number}"})
            node.applied(number)
            node.ready(number + 1)
    finally:
        done.set()
        knocker.join()
    assert refused == []
    stop(node)
