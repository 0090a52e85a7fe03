"""One job from its trigger to its end, in a real node."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from tests.nodes import Node, running
from tests.orphans import helpers_with, new_mark, processes_with

JOBS: list[dict[str, Any]] = [
    {"event": "hello", "cmd": "echo hello"},
    {"event": "both", "cmd": "echo out; echo err >&2"},
    {"event": "code", "cmd": "exit {{code}}"},
    {"event": "noisy", "cmd": "echo warn >&2", "status": "strict"},
    {"event": "forever", "cmd": "sleep 600", "kill_grace": 0.2},
    {"event": "mark", "cmd": "(setsid sleep {{mark}} &); sleep {{mark}}", "kill_grace": 0.2},
    {"event": "slow", "cmd": "sleep 600", "timeout": 0.2, "kill_grace": 0.2},
    {"event": "env", "cmd": ["env"]},
    {"event": "file", "cmd": "stat -c '%a %n' {{task_id}}.json; cat {{task_id}}.json"},
    {"event": "list", "cmd": ["printf", "%s|", "{{a}}", "{{b}}"]},
    {"event": "missing", "cmd": ["no-such-program-anywhere"]},
    {"event": "again", "cmd": "echo try $JOB_ITEM_ATTEMPT; exit 4", "retries": {"attempts": 3, "backoff": 0.01}},
    {"event": "third", "cmd": '[ "$JOB_ITEM_ATTEMPT" = 3 ]', "retries": {"attempts": 5, "backoff": 0.01}},
    {"event": "one", "cmd": "sleep 600", "concurrency": 1, "kill_grace": 0.1},
    {"event": "here", "cmd": "pwd; ls", "working_dir": "sub"},
    {"event": "much", "cmd": "head -c 3000000 /dev/zero", "output_limit": "1 MiB"},
    {"event": "binary", "cmd": r"printf 'a\0b\xff\xfe\r50%%\r100%%\n'"},
    {"event": "nosh", "cmd": "echo $0", "shell": "sh"},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "sub").mkdir()
    with running(
        folder, {"jobs": JOBS, "limits": {"concurrency": 4}, "credential": {"secret_key": "s3cret-key"}}
    ) as node:
        yield node


def finished(node: Node, event: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return node.await_status(node.submit(event, data))


def test_a_job_finishes_and_its_output_is_kept(node: Node) -> None:
    record = finished(node, "hello")
    assert (record["status"], record["exit_code"], record["attempt"]) == ("finish", 0, 1)
    assert record["log_bytes"] == 6
    assert node.output(record["task_id"]) == b"hello\n"


def test_both_streams_can_be_told_apart(node: Node) -> None:
    task_id = finished(node, "both")["task_id"]
    assert node.get(f"/jobs/{task_id}/log?stream=stdout")[1] == b"out\n"
    assert node.get(f"/jobs/{task_id}/log?stream=stderr")[1] == b"err\n"


@pytest.mark.parametrize(("code", "status"), [(0, "finish"), (1, "error"), (255, "error")])
def test_the_exit_code_decides(code: int, status: str, node: Node) -> None:
    record = finished(node, "code", {"code": code})
    assert (record["status"], record["exit_code"]) == (status, code)


def test_a_strict_job_may_not_write_to_stderr(node: Node) -> None:
    record = finished(node, "noisy")
    assert (record["status"], record["exit_code"], record["error"]["code"]) == ("error", 0, "ERR-RUN-010")


def test_a_time_out_ends_the_tree(node: Node) -> None:
    assert finished(node, "slow")["status"] == "timeout"


def test_a_running_job_can_be_cancelled_with_all_that_it_started(node: Node) -> None:
    mark = new_mark()
    task_id = node.submit("mark", {"mark": mark})
    eventually(lambda: len(helpers_with(mark)) == 2)
    assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
    assert node.await_status(task_id)["status"] == "terminate"
    assert processes_with(mark) == []


def test_a_waiting_job_can_be_cancelled_and_never_runs(node: Node) -> None:
    first, second = node.submit("one"), node.submit("one")
    node.await_status(first, "running")
    node.ask("POST", f"/jobs/{second}/cancel")
    record = node.await_status(second)
    assert (record["status"], record["attempt"]) == ("terminate", 0)
    node.ask("POST", f"/jobs/{first}/cancel")
    node.await_status(first)


def test_an_event_keeps_to_its_own_concurrency_and_does_not_hold_up_others(node: Node) -> None:
    first, second = node.submit("one"), node.submit("one")
    node.await_status(first, "running")
    assert finished(node, "hello")["status"] == "finish"
    assert node.job(second)["status"] == "queued"
    node.ask("POST", f"/jobs/{first}/cancel")
    node.await_status(second, "running")
    node.ask("POST", f"/jobs/{second}/cancel")
    node.await_status(second)


def test_the_environment_is_clean_and_complete(node: Node) -> None:
    record = finished(node, "env", {"name": "a b", "n": 5})
    environ = dict(line.split("=", 1) for line in node.output(record["task_id"]).decode().splitlines())
    assert environ["JOB_ITEM_TASK_ID"] == record["task_id"]
    assert environ["JOB_ITEM_MSG_NOTIF_HOST"].endswith(f"/msg/notif/{record['task_id']}")
    assert environ["JOB_ITEM_PROJECT_KEY"] == "s3cret-key"
    assert (environ["JOB_ITEM_DATA_NAME"], environ["JOB_ITEM_DATA_N"]) == ("a b", "5")
    assert "PYTHONPATH" not in environ
    own, usual = str(Path(sys.executable).parent), os.environ["PATH"]
    assert environ["PATH"] == (usual if own in usual.split(":") else f"{usual}:{own}"), "the node's own commands, too"


def test_the_task_file_is_private_and_goes_with_the_job(node: Node) -> None:
    task_id = node.submit("file", {"z": 1, "a": "<é>", "big": 12345678901234567890})
    node.await_status(task_id)
    first, rest = node.output(task_id).split(b"\n", 1)
    assert first.decode() == f"600 {task_id}.json"
    assert rest == '{"a":"\\u003cé\\u003e","big":12345678901234567890,"z":1}'.encode()
    assert not (node.folder / f"{task_id}.json").exists()


def test_a_list_command_takes_values_as_they_are(node: Node) -> None:
    task_id = finished(node, "list", {"a": "$(id) ; 'x", "b": ""})["task_id"]
    assert node.output(task_id) == b"$(id) ; 'x||"


def test_a_program_that_is_missing_is_an_error_with_a_code(node: Node) -> None:
    record = finished(node, "missing")
    assert (record["status"], record["error"]["code"]) == ("error", "ERR-RUN-002")
    assert "no-such-program-anywhere" in record["error"]["message"]


def test_a_failing_job_is_tried_as_often_as_asked(node: Node) -> None:
    record = finished(node, "again")
    assert (record["status"], record["attempt"], record["exit_code"]) == ("error", 3, 4)
    assert [attempt["status"] for attempt in record["attempts"]] == ["error"] * 3
    fences = [attempt["fence"] for attempt in record["attempts"]]
    assert fences == sorted(set(fences))
    assert node.output(record["task_id"]) == b"try 3\n"
    assert node.get(f"/jobs/{record['task_id']}/log?attempt=1")[1] == b"try 1\n"


def test_a_job_that_succeeds_is_not_tried_again(node: Node) -> None:
    record = finished(node, "third")
    assert (record["status"], record["attempt"]) == ("finish", 3)


def test_a_job_with_a_directory_of_its_own_has_its_task_file_there(node: Node) -> None:
    task_id = finished(node, "here")["task_id"]
    assert node.output(task_id).decode().split() == [str(node.folder / "sub"), f"{task_id}.json"]


def test_output_over_the_limit_keeps_both_ends_and_says_what_is_missing(node: Node) -> None:
    record = finished(node, "much")
    output = node.output(record["task_id"])
    assert len(output) < (1 << 20) + 200
    missing = 3_000_000 - output.count(b"\0")
    assert f"{missing} bytes of output are missing here".encode() in output
    assert record["attempts"][0]["usage"]["dropped_bytes"] == missing


def test_output_is_bytes(node: Node) -> None:
    task_id = finished(node, "binary")["task_id"]
    assert node.output(task_id) == b"a\0b\xff\xfe\r50%\r100%\n"


def test_the_shell_can_be_chosen(node: Node) -> None:
    assert node.output(finished(node, "nosh")["task_id"]) == b"sh\n"


def test_a_known_task_id_is_not_run_twice(node: Node) -> None:
    task_id = node.submit("hello", task_id="only-once")
    node.await_status(task_id)
    assert node.submit("hello", task_id="only-once") == "only-once"
    assert node.job("only-once")["attempt"] == 1


def test_notifications_stay_with_their_job(node: Node) -> None:
    task_id = finished(node, "hello")["task_id"]
    status, answer = node.ask("POST", f"/msg/notif/{task_id}", {"msg": "half way"})
    assert (status, answer) == (200, {"status": "success", "return": {"msg": "half way"}})
    assert [note["msg"] for note in node.job(task_id)["notes"]] == ["half way"]


@pytest.mark.parametrize(
    ("request_body", "status"),
    [
        ({"app_id": "local", "event": "no-such", "form_body": {}}, 400),
        ({"app_id": "other", "event": "hello", "form_body": {}}, 400),
        ({"app_id": "local", "event": "hello", "form_body": {}, "task_id": "../../etc/passwd"}, 400),
    ],
)
def test_a_bad_request_is_refused_with_a_code(request_body: dict[str, Any], status: int, node: Node) -> None:
    found, answer = node.ask("POST", "/job/create", request_body)
    assert found == status
    assert answer["code"].startswith("ERR-")
    assert answer["remedy"]


def test_a_drain_lets_jobs_end_and_keeps_the_queue(tmp_path: Path) -> None:
    jobs = [{"event": "wait", "cmd": "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo done", "concurrency": 1}]
    with running(tmp_path, {"jobs": jobs}) as node:
        first, second = node.submit("wait"), node.submit("wait")
        node.await_status(first, "running")
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        eventually(
            lambda: node.ask("POST", "/job/create", {"app_id": "local", "event": "wait", "form_body": {}})[0] == 503
        )
        (tmp_path / "go").touch()
        assert node.process.wait(60) == 0
        node.start()
        assert node.job(first)["status"] == "finish"
        assert node.await_status(second)["status"] == "finish"


def test_a_cancel_works_while_the_node_drains(tmp_path: Path) -> None:
    jobs = [{"event": "forever", "cmd": "sleep 600", "kill_grace": 0.2}]
    with running(tmp_path, {"jobs": jobs}) as node:
        task_id = node.submit("forever")
        node.await_status(task_id, "running")
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        eventually(lambda: node.get("/readyz")[0] == 503)
        assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
        assert node.process.wait(60) == 0
        node.start()
        assert node.job(task_id)["status"] == "terminate"


def test_live_output_arrives_while_the_job_runs(node: Node) -> None:
    task_id = node.submit("both")
    connection = node.connect()
    connection.request("GET", f"/jobs/{task_id}/log?follow=1")
    stream = connection.getresponse()
    names = []
    for line in stream:
        if line.startswith(b"event:"):
            names.append(line.split(b":", 1)[1].strip().decode())
        if line.startswith(b"data:") and names and names[-1] == "end":
            assert json.loads(line[5:])["status"] == "finish"
            break
    assert "output" in names
    connection.close()
