"""Typed handlers in a real node: what they are given, what comes of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import handlers
from tests.conftest import eventually
from tests.nodes import Node, running

JOBS: list[dict[str, Any]] = [
    {"event": "once", "handler": "DO", "retries": {"attempts": 3, "backoff": 0}},
    {"event": "plain.echo", "handler": "acts:echo"},
    {"event": "CONTEXT", "handler": "CONTEXT", "timeout": 60, "env": {"OWN": "own"}, "working_dir": "elsewhere"},
    {"event": "tiny", "handler": "PRINT", "output_limit": 8},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("handlers")
    handlers.write(folder)
    (folder / "elsewhere").mkdir()
    with running(folder, {"handlers": ["acts.py"], "jobs": JOBS}, {"DATA_PATH": "/data/of/jobs"}) as node:
        yield node


def end_of(node: Node, event: str, data: dict[str, Any]) -> dict[str, Any]:
    return node.await_status(node.submit(event, data))


def test_a_marked_type_is_served_without_a_job_entry_and_its_output_is_in_the_record(node: Node) -> None:
    job = end_of(node, "AREA", {"width": 2, "height": 3.5})
    assert (job["status"], job["output"], job["attempts"][0]["output"]) == ("finish", {"area": 7.0}, {"area": 7.0})


def test_input_that_does_not_fit_fails_at_once_and_names_the_place(node: Node) -> None:
    job = end_of(node, "AREA", {"width": "wide", "height": 1})
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("error", "ERR-HND-010", 1)
    assert "width" in job["error"]["message"]


def test_output_that_is_not_what_the_hint_says_is_an_error(node: Node) -> None:
    job = end_of(node, "DO", {"what": "wrong"})
    assert job["error"]["code"] == "ERR-HND-012"
    assert job["log_bytes"] == 0, "the sentence says it all, a trace would show the node's code only"


def test_an_exception_is_an_error_with_its_trace_in_the_output(node: Node) -> None:
    job = end_of(node, "DO", {"what": "raise"})
    assert (job["error"]["code"], job["error"]["message"]) == (
        "ERR-HND-011",
        "The handler raised ValueError: as asked.",
    )
    first, place, *_, last = node.output(job["task_id"]).decode().splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "ValueError: as asked")
    assert "acts.py" in place, "the trace begins with the author's code"


def test_sys_exit_in_a_handler_ends_the_job_and_not_the_process(node: Node) -> None:
    before = end_of(node, "WHO", {})["output"][0]
    job = end_of(node, "DO", {"what": "leave"})
    assert job["error"]["message"] == "The handler raised SystemExit: 7."
    assert end_of(node, "WHO", {})["output"][0] == before


def test_a_handler_that_raises_is_retried_as_the_job_says(node: Node) -> None:
    job = end_of(node, "once", {"what": "raise"})
    assert (job["status"], job["attempt"]) == ("error", 3)


def test_a_function_is_named_by_module_and_name_and_an_event_may_have_dots(node: Node) -> None:
    assert end_of(node, "plain.echo", {"a": [1, "é"]})["output"] == {"a": [1, "é"]}


def test_the_context_says_who_the_job_is_and_where_things_are(node: Node) -> None:
    job = end_of(node, "CONTEXT", {})
    told, task_id = job["output"], job["task_id"]
    assert (told["task_id"], told["job_id"], told["variable"]) == (task_id,) * 3
    assert (told["type"], told["attempt"], told["deadline"]) == ("CONTEXT", 1, True)
    assert (told["data_path"], told["own"]) == ("/data/of/jobs", "own")
    assert told["place"] == str(node.folder / "elsewhere")
    assert not Path(told["folder"]).exists()
    assert [note["msg"] for note in job["notes"]] == ["50 % half", "hello"]


def test_a_handler_has_no_descriptor_of_the_node(node: Node) -> None:
    told = end_of(node, "CONTEXT", {})["output"]
    assert len(told["fds"]) <= 6, "0, 1, 2, its line, its cut, and the listing itself"


def test_everything_that_a_job_writes_is_its_own_output(node: Node) -> None:
    names = [f"n{number}" for number in range(20)]
    jobs = {name: node.submit("PRINT", {"name": name}) for name in names}
    for name, task_id in jobs.items():
        job = node.await_status(task_id)
        lines = node.output(task_id).decode().splitlines()
        assert sorted(lines) == sorted(
            [
                f"print {name}",
                f"write {name}",
                f"shell {name}",
                f"error {name}",
                f"INFO job_item.handlers.PRINT: log {name}",
            ]
        )
        usage = job["attempts"][0]["usage"]
        assert usage["stdout_bytes"] + usage["stderr_bytes"] == job["log_bytes"]


def test_output_over_the_limit_is_left_out_and_marked(node: Node) -> None:
    job = end_of(node, "tiny", {"name": "x" * 500})
    assert job["attempts"][0]["usage"]["dropped_bytes"] > 1000
    assert b"bytes of output are missing here" in node.output(job["task_id"])


def test_large_input_and_output_pass(node: Node) -> None:
    text = "ü" * 150_000
    assert end_of(node, "plain.echo", {"text": text})["output"] == {"text": text}


def test_an_output_that_is_too_large_is_an_error(node: Node) -> None:
    assert end_of(node, "DO", {"what": "large", "size": 2 << 20})["error"]["code"] == "ERR-HND-013"


def test_a_process_serves_many_jobs_one_after_the_other(node: Node) -> None:
    first, second = end_of(node, "WHO", {})["output"], end_of(node, "WHO", {})["output"]
    assert (second[0], second[1] > first[1]) == (first[0], True)


def test_a_job_that_is_known_already_is_not_run_again(node: Node) -> None:
    job = end_of(node, "WHO", {})
    again = node.submit("WHO", {}, job["task_id"])
    assert node.job(again)["output"] == job["output"]


def test_the_types_and_the_built_in_test_job_are_served(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": [{"event": "TEST", "handler": "TEST", "kill_grace": 5}]}) as node:
        task_id = node.submit("TEST", {"id": 7})
        node.await_status(task_id, "running")
        assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
        assert node.await_status(task_id)["status"] == "terminate"
        assert end_of(node, "TEST", {"id": "seven"})["error"]["code"] == "ERR-HND-010"


def test_handlers_come_from_the_environment_and_from_entry_points(tmp_path: Path) -> None:
    handlers.write(tmp_path / "node")
    site = tmp_path / "site"
    handlers.write(site, "def more(given: list[int]) -> int:\n    return sum(given)\n", "extra_acts.py")
    info = site / "extra_acts-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-acts\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[job_item.handlers]\nSUM = extra_acts:more\n")
    environ = {"JOB_ITEM_HANDLERS": "acts.py", "PYTHONPATH": f"{os.getcwd()}:{site}"}
    settings = {"pass_env": ["PYTHONPATH"]}
    with running(tmp_path / "node", settings, environ) as node:
        assert end_of(node, "AREA", {"width": 1, "height": 1})["output"] == {"area": 1.0}
        status, answer = node.ask("POST", "/job/create", {"event": "SUM", "form_body": [1, 2, 3]})
        assert status == 200, answer
        assert node.await_status(answer["task_id"])["output"] == 6


def test_an_edit_of_a_handler_takes_effect_by_itself(tmp_path: Path) -> None:
    text = "def value(given: dict) -> int:\n    return {0}\n"
    path = handlers.write(tmp_path, text.format(1))
    with running(tmp_path, {"jobs": [{"event": "value", "handler": "acts:value"}]}) as node:
        assert end_of(node, "value", {})["output"] == 1
        path.write_text(text.format(2))
        eventually(lambda: end_of(node, "value", {})["output"] == 2, within_s=60, what="the edit is in force")
        path.write_text("def value(given: dict) -> int:\n    return (\n")
        handlers.write(tmp_path, "", "other.py")
        status, answer = node.ask("POST", "/reload")
        assert status == 422, answer
        assert "ERR-HND-001" in json.dumps(answer)
        assert end_of(node, "value", {})["output"] == 2, node.log.read_text()


def test_an_edit_of_a_module_that_handlers_import_takes_effect_by_itself(tmp_path: Path) -> None:
    handlers.write(tmp_path, "VALUE = 1\n", "deeper.py")
    handlers.write(tmp_path, "import deeper\ndef value(given: dict) -> int:\n    return deeper.VALUE\n")
    with running(tmp_path, {"jobs": [{"event": "value", "handler": "acts:value"}]}) as node:
        assert end_of(node, "value", {})["output"] == 1
        handlers.write(tmp_path, "VALUE = 2\n", "deeper.py")
        eventually(lambda: end_of(node, "value", {})["output"] == 2, within_s=60, what="the edit is in force")


def test_a_timeout_does_not_pass_while_the_handlers_are_being_loaded(tmp_path: Path) -> None:
    text = "import os, time\nif 'LOADS' in os.environ: time.sleep(8)\ndef quick(given: dict) -> int:\n    return 1\n"
    handlers.write(tmp_path, text)
    jobs = [{"event": "quick", "handler": "acts:quick", "timeout": 6}]
    with running(tmp_path, {"jobs": jobs, "pass_env": ["LOADS"]}, {"LOADS": "1"}) as node:
        assert end_of(node, "quick", {})["status"] == "finish"


def test_settings_with_wrong_handlers_are_refused_with_their_place(tmp_path: Path) -> None:
    handlers.write(tmp_path, "def f(given: dict): ...\n")
    node = Node(tmp_path, {"jobs": [{"event": "a", "handler": "acts:f"}, {"event": "b", "handler": "NOBODY"}]})
    node.start(ready=False)
    assert node.process is not None
    assert node.process.wait(90) == 78
    said = node.log.read_text()
    assert "ERR-HND-003" in said
    assert "ERR-HND-004" in said
    assert "jobs[1].handler" in said
