"""Commands about jobs, against the real local API over a desk in memory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from job_item.job import Status, is_task_id
from tests.conftest import eventually
from tests.desks import MemoryDesk, Served, serve
from tests.terminal import COMMAND, Shell, ended_job, environment


@pytest.fixture
def node(shell: Shell) -> Iterator[Served]:
    with serve() as served:
        shell.knows(served)
        yield served


def test_submit_prints_the_task_id_and_what_to_do_next(shell: Shell, node: Served) -> None:
    ended = shell.run("submit", "hello", "name=Ada", "count:=3")
    task_id = ended.out.decode().strip()
    assert ended.code == 0
    assert is_task_id(task_id)
    assert f"job_item logs {task_id} -f" in ended.err
    assert [(request.event, request.data) for request in node.desk.requests] == [("hello", {"name": "Ada", "count": 3})]


def test_submit_takes_data_from_standard_input_and_answers_in_json(shell: Shell, node: Served) -> None:
    ended = shell.run("submit", "hello", "--data", "-", "--json", "--task-id", "mine", stdin=b'["x", 1]')
    assert (ended.json["task_id"], ended.json["status"]) == ("mine", "queued")
    assert node.desk.requests[0].data == ["x", 1]


def test_a_refused_job_ends_with_the_nodes_own_words(shell: Shell, node: Served) -> None:
    ended = shell.run("submit", "nonsense")
    assert (ended.code, ended.out) == (2, b"")
    assert ended.err.splitlines() == [
        "error: No job is configured for event 'nonsense'. [ERR-JOB-001]",
        "  Use an event of `jobs` in the configuration file.",
    ]


def test_a_full_queue_is_unavailable(shell: Shell, node: Served) -> None:
    node.desk.queue = 0
    ended = shell.run("submit", "hello")
    assert ended.code == 69
    assert "ERR-JOB-004" in ended.err


def test_follow_writes_both_streams_apart_as_raw_bytes_and_ends_as_the_job(shell: Shell, node: Served) -> None:
    ended_job(node, status=Status.ERROR, exit_code=3, attempts=2)
    ended = shell.run("submit", "hello", "--task-id", "T1", "--follow")
    assert ended.code == 3
    assert ended.out == b"one 1\nthreeone 2\nthree"
    assert ended.err.count("two\udcff\n") == 2
    assert "[attempt 2 begins]" in ended.err
    assert "hello T1: error" in ended.err
    assert "exit code 3" in ended.err
    assert "ERR-RUN-001" in ended.err


def test_follow_shows_output_and_notes_as_they_come(shell: Shell, node: Served) -> None:
    with shell.start("submit", "hello", "--task-id", "T1", "--follow") as running:
        running.sees(err="task T1")
        node.do(node.desk.begin, "T1")
        node.do(node.desk.write, "T1", b"half a li")
        running.sees("half a li")
        node.wait(node.desk.notify("T1", "soon done"))
        running.sees(err="[note: soon done]")
        node.do(node.desk.write, "T1", b"ne\n")
        node.do(node.desk.end, "T1", Status.FINISH, exit_code=0)
        ended = running.end()
    assert (ended.code, ended.out) == (0, b"half a line\n")


def test_follow_goes_on_where_it_was_when_the_job_child_is_replaced(shell: Shell) -> None:
    desk = MemoryDesk()
    with ExitStack() as first:
        node = first.enter_context(serve(desk))
        shell.knows(node)
        with shell.start("submit", "hello", "--task-id", "T1", "--follow") as running:
            running.sees(err="task T1")
            node.do(desk.begin, "T1")
            node.wait(desk.notify("T1", "half"))
            node.do(desk.write, "T1", b"before ")
            running.sees("before", err="half")
            first.close()
            with serve(desk) as successor:
                successor.do(desk.write, "T1", b"after\n")
                shell.knows(successor)
                running.sees("after")
                successor.do(desk.end, "T1", Status.FINISH, exit_code=0)
                ended = running.end()
    assert (ended.code, ended.out) == (0, b"before after\n")
    assert ended.err.count("half") == 1


def test_ctrl_c_stops_the_watching_and_not_the_job(shell: Shell, node: Served) -> None:
    with shell.start("--config", "config.yaml", "submit", "hello", "--task-id", "T1", "--follow") as running:
        running.sees(err="task T1")
        node.do(node.desk.begin, "T1")
        node.do(node.desk.write, "T1", b"x")
        running.sees("x")
        running.interrupt()
        ended = running.end()
    assert ended.code == 130
    assert "the job goes on" in ended.err
    assert "job_item cancel T1 --config config.yaml" in ended.err
    assert "Traceback" not in ended.err
    job = node.desk.job("T1")
    assert job
    assert job.status is Status.RUNNING


@pytest.mark.parametrize(("status", "code"), [(Status.FINISH, 0), (Status.TIMEOUT, 124), (Status.TERMINATE, 143)])
def test_wait_tells_the_outcome_by_its_exit_code(shell: Shell, node: Served, status: Status, code: int) -> None:
    with shell.start("submit", "hello", "--task-id", "T1", "--wait") as running:
        running.sees("T1\n")
        node.do(node.desk.begin, "T1")
        node.do(node.desk.write, "T1", b"not shown")
        node.do(node.desk.end, "T1", status)
        ended = running.end()
    assert (ended.code, ended.out) == (code, b"T1\n")


def test_wait_can_answer_in_json(shell: Shell, node: Served) -> None:
    ended_job(node)
    ended = shell.run("submit", "hello", "--task-id", "T1", "--wait", "--json")
    assert (ended.json["status"], ended.json["log_bytes"]) == ("finish", 16)


def test_jobs_are_json_where_no_terminal_is(shell: Shell, node: Served) -> None:
    ended_job(node)
    node.create("T2", "count")
    assert [job["task_id"] for job in shell.run("jobs").json] == ["T2", "T1"]
    assert [job["task_id"] for job in shell.run("jobs", "--status", "finish").json] == ["T1"]
    assert [job["task_id"] for job in shell.run("jobs", "--event", "count").json] == ["T2"]
    assert [job["task_id"] for job in shell.run("jobs", "--limit", "1").json] == ["T2"]
    assert shell.run("jobs", "--event", "none").json == []


def test_a_long_list_is_gathered_page_by_page(shell: Shell, node: Served) -> None:
    for number in range(1005):
        node.create(f"T{number}")
    assert [job["task_id"] for job in shell.run("jobs", "-n", "1003").json] == [f"T{n}" for n in range(1004, 1, -1)]


def test_a_wrong_status_word_is_refused(shell: Shell, node: Served) -> None:
    ended = shell.run("jobs", "--status", "done")
    assert ended.code == 2
    assert "ERR-API-007" in ended.err


def test_jobs_are_a_table_on_a_terminal(shell: Shell, node: Served) -> None:
    ended_job(node, status=Status.ERROR, exit_code=3)
    with shell.on_terminal("jobs") as running:
        ended = running.end()
    lines = ended.out.decode().splitlines()
    assert "took" in lines[0]
    assert "T1" in lines[1]
    assert "\x1b[31merror" in lines[1]


def test_json_can_be_had_on_a_terminal(shell: Shell, node: Served) -> None:
    ended_job(node)
    with shell.on_terminal("jobs", "--json") as running:
        assert json.loads(running.end().out)[0]["task_id"] == "T1"


def test_the_status_of_one_job_shows_all_about_it(shell: Shell, node: Served) -> None:
    ended_job(node, status=Status.ERROR, exit_code=3)
    assert shell.run("status", "T1").json["attempts"][0]["exit_code"] == 3
    with shell.on_terminal("status", "T1") as running:
        text = running.end().out.decode()
    assert "ERR-RUN-001" in text
    assert "16 B" in text


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ((), b"one 2\ntwo\xff\nthree"),
        (("--stream", "stdout"), b"one 2\nthree"),
        (("--stream", "stderr"), b"two\xff\n"),
        (("--attempt", "1"), b"one 1\ntwo\xff\nthree"),
        (("--tail", "2"), b"two\xff\nthree"),
        (("--tail", "0"), b""),
        (("--tail", "9", "--stream", "stdout"), b"one 2\nthree"),
        (("-f",), b"one 2\ntwo\xff\nthree"),
        (("-f", "--stream", "stdout", "--attempt", "1"), b"one 1\nthree"),
        (("-f", "--tail", "1"), b"three"),
        (("-f", "--tail", "1", "--stream", "stderr"), b"two\xff\n"),
    ],
)
def test_logs_are_the_raw_bytes(shell: Shell, node: Served, words: tuple[str, ...], output: bytes) -> None:
    ended_job(node, attempts=2)
    ended = shell.run("logs", "T1", *words)
    assert (ended.code, ended.out) == (0, output)


def test_a_long_tail_is_found_however_long_its_lines_are(shell: Shell, node: Served) -> None:
    node.create("T1")
    node.do(node.desk.begin, "T1")
    for line in (b"first\n", b"x" * 100_000 + b"\n", b"last\n"):
        node.do(node.desk.write, "T1", line)
    assert shell.run("logs", "T1", "--tail", "2").out == b"x" * 100_000 + b"\nlast\n"
    assert shell.run("logs", "T1", "--tail", "3").out.startswith(b"first\n")


def test_a_tail_that_is_followed_goes_on_without_a_gap(shell: Shell, node: Served) -> None:
    node.create("T1")
    node.do(node.desk.begin, "T1")
    node.do(node.desk.write, "T1", b"one\ntwo\n")
    with shell.start("logs", "T1", "-f", "--tail", "1") as running:
        running.sees("two\n")
        node.do(node.desk.write, "T1", b"three\n")
        node.do(node.desk.end, "T1", Status.ERROR, exit_code=3)
        ended = running.end()
    assert (ended.code, ended.out) == (0, b"two\nthree\n")


def test_a_reader_that_goes_away_is_no_failure_worth_words(shell: Shell, node: Served) -> None:
    node.create("T1")
    node.do(node.desk.begin, "T1")
    node.do(node.desk.write, "T1", b"line\n" * 100_000)
    with subprocess.Popen(
        [*COMMAND, "logs", "T1"], cwd=shell.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""


def test_an_unknown_job_is_named(shell: Shell, node: Served) -> None:
    for words in (("logs", "T9"), ("logs", "T9", "-f"), ("status", "T9"), ("cancel", "T9")):
        ended = shell.run(*words)
        assert ended.code == 1
        assert "There is no job T9 on this node. [ERR-JOB-006]" in ended.err


def test_several_jobs_are_cancelled_though_one_is_unknown(shell: Shell, node: Served) -> None:
    node.create("T1")
    node.create("T2")
    ended = shell.run("cancel", "T1", "../T9", "T2")
    assert ended.code == 2
    assert [(job["task_id"], job["status"]) for job in ended.json] == [("T1", "terminate"), ("T2", "terminate")]
    assert "'../T9' is no task id. [ERR-JOB-003]" in ended.err


def test_a_job_that_ends_is_seen_by_those_who_watch_its_status(shell: Shell, node: Served) -> None:
    node.create("T1")
    with shell.on_terminal("status", "T1", "--watch") as running:
        running.sees("queued")
        node.do(node.desk.begin, "T1")
        running.sees("running")
        running.interrupt()
        assert running.end().code == 0
    eventually(lambda: not node.desk.watches.get("T1"))
