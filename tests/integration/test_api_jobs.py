"""The local API on a real socket: jobs, notifications, the node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from job_item.job import Status, Usage
from job_item.link import ExecState
from tests.desks import MemoryDesk, Reply, Served, serve
from worker.desk import Readiness

CREATE = {"app_id": "P", "event": "hello", "form_body": {"name": "wörld", "n": 12345678901234567890}}


@pytest.fixture
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


def check_problem(reply: Reply, status: int, code: str) -> None:
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    problem = reply.json
    assert problem["code"] == code
    assert problem["error"]
    assert problem["remedy"]
    assert "Traceback" not in problem["error"]


def test_a_job_is_created_with_the_answer_of_the_protocol(served: Served) -> None:
    reply = served.ask("POST", "/job/create", CREATE)
    assert reply.status == 200
    answer = reply.json
    task_id = answer.pop("task_id")
    assert answer == {"status": "success", "message": "Job created successfully!", "job": CREATE, "app_id": "P"}
    assert task_id[14] == "7"
    (request,) = served.desk.requests
    assert (request.event, request.data, request.app_id) == ("hello", CREATE["form_body"], "P")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_is_read_whatever_its_content_type_says(served: Served, content_type: str) -> None:
    reply = served.ask("POST", "/job/create", CREATE, {"content-type": content_type})
    assert reply.status == 200


def test_an_array_and_an_own_task_id_are_taken(served: Served) -> None:
    body = {"event": "hello", "form_body": ["x", 1], "task_id": "mine-1"}
    first = served.ask("POST", "/job/create", body).json
    assert first["task_id"] == "mine-1"
    assert first["job"] == {"event": "hello", "form_body": ["x", 1]}
    assert served.ask("POST", "/job/create", body).json["task_id"] == "mine-1"
    assert len(served.desk.requests) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"app_id":"P","event":"unknown","form_body":{}}', "ERR-JOB-001"),
        (b'{"app_id":"other","event":"hello","form_body":{}}', "ERR-JOB-002"),
        (b'{"event":"hello","form_body":{},"task_id":"../x"}', "ERR-JOB-003"),
        (b"", "ERR-JOB-007"),
        (b"nonsense", "ERR-JOB-007"),
        (b"[]", "ERR-JOB-007"),
        (b"null", "ERR-JOB-007"),
        (b"\xff\xfe", "ERR-JOB-007"),
        (b'{"app_id":"","event":"hello","form_body":{}}', "ERR-JOB-007"),
        (b'{"app_id":1,"event":"hello","form_body":{}}', "ERR-JOB-007"),
        (b'{"app_id":"P","event":"","form_body":{}}', "ERR-JOB-007"),
        (b'{"app_id":"P","event":"hello"}', "ERR-JOB-007"),
        (b'{"app_id":"P","event":"hello","form_body":"x"}', "ERR-JOB-007"),
        (b'{"app_id":"P","event":"hello","form_body":null}', "ERR-JOB-007"),
        (b'{"event":"hello","form_body":{"a":1e999}}', "ERR-JOB-007"),
        (b'{"event":"hello","form_body":{"a":NaN}}', "ERR-JOB-007"),
        (b'{"event":"hello","form_body":{"a":' + b"1" * 5000 + b"}}", "ERR-JOB-007"),
        (b'{"event":"hello","form_body":{"a":"\\ud800"}}', "ERR-JOB-007"),
        (b'{"event":"hello","form_body":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "ERR-JOB-007"),
        (b'{"event":"hel\\u0000lo","form_body":{}}', "ERR-JOB-001"),
    ],
)
def test_a_request_that_is_no_job_is_refused(served: Served, body: bytes, code: str) -> None:
    reply = served.ask("POST", "/job/create", body, raw=True)
    check_problem(reply, 400, code)
    assert reply.json["status"] == "error"
    assert reply.json["message"] == reply.json["error"]
    assert not served.desk.requests


def test_all_faults_of_a_body_are_named_at_once(served: Served) -> None:
    said = served.ask("POST", "/job/create", {"app_id": 1, "event": ""}).json["error"]
    assert all(name in said for name in ("app_id", "event", "form_body"))


def test_a_full_or_draining_node_sends_clients_away_for_a_while() -> None:
    with serve(MemoryDesk(queue=1)) as served:
        assert served.ask("POST", "/job/create", CREATE).status == 200
        full = served.ask("POST", "/job/create", CREATE)
        check_problem(full, 503, "ERR-JOB-004")
        assert int(full.headers["retry-after"]) > 0
        served.desk.draining = True
        check_problem(served.ask("POST", "/job/create", CREATE), 503, "ERR-JOB-005")


def test_what_nobody_expected_is_a_fault_of_ours_without_a_trace(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.desk.broken = ZeroDivisionError("secret detail")
    reply = served.ask("POST", "/job/create", CREATE)
    check_problem(reply, 500, "ERR-API-011")
    assert b"secret detail" not in reply.body
    served.desk.health = None  # type: ignore[assignment, method-assign]
    check_problem(served.ask("GET", "/healthz"), 500, "ERR-API-011")
    assert served.ask("GET", "/readyz").status == 200


def test_jobs_are_listed_newest_first_in_pages(served: Served) -> None:
    ids = [served.create(f"T{number}", "count" if number % 2 else "hello") for number in range(5)]
    served.do(served.desk.begin, "T3")
    page = served.ask("GET", "/jobs?limit=2").json
    assert [job["task_id"] for job in page["jobs"]] == ["T4", "T3"]
    assert page["next"] == "T3"
    rest = served.ask("GET", f"/jobs?before={page['next']}").json
    assert [job["task_id"] for job in rest["jobs"]] == ["T2", "T1", "T0"]
    assert rest["next"] is None
    assert [job["task_id"] for job in served.ask("GET", "/jobs?event=count").json["jobs"]] == ["T3", "T1"]
    assert [job["task_id"] for job in served.ask("GET", "/jobs?status=running").json["jobs"]] == ["T3"]
    assert len(ids) == 5


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=" + "9" * 5000, "status=done", "before=../x", "before="]
)
def test_parameters_that_are_wrong_are_refused(served: Served, query: str) -> None:
    check_problem(served.ask("GET", f"/jobs?{query}"), 400, "ERR-API-007")


def test_a_job_is_shown_with_its_attempts(served: Served) -> None:
    served.create("T1")
    queued = served.ask("GET", "/jobs/T1").json
    assert queued["status"] == "queued"
    assert queued["started_at"] is None
    assert queued["log_bytes"] == 0
    served.do(served.desk.begin, "T1")
    served.do(served.desk.write, "T1", b"12345")
    served.wait(served.desk.notify("T1", "half"))
    usage = Usage(cpu_s=0.5, max_rss_bytes=1000, stdout_bytes=5, processes=("7 bash: exit 3",))
    served.do(served.desk.end, "T1", Status.ERROR, exit_code=3, usage=usage)
    job = served.ask("GET", "/jobs/T1").json
    assert (job["task_id"], job["event"], job["status"], job["attempt"]) == ("T1", "hello", "error", 1)
    assert (job["exit_code"], job["log_bytes"]) == (3, 5)
    assert job["created_at"].endswith("Z")
    assert job["duration_s"] >= 0
    assert job["error"]["code"] == "ERR-RUN-001"
    assert job["notes"][0]["msg"] == "half"
    (attempt,) = job["attempts"]
    assert attempt["usage"]["processes"] == ["7 bash: exit 3"]
    assert attempt["usage"]["max_rss_bytes"] == 1000


@pytest.mark.parametrize(
    "task_id", ["T9", "..", "%00", "%ff", "a%2Fb", "x" * 200, "%ed%a0%80", "a b".replace(" ", "%20")]
)
def test_a_job_that_is_not_there_is_not_found(served: Served, task_id: str) -> None:
    for method, path in (("GET", ""), ("GET", "/log"), ("POST", "/cancel")):
        assert served.ask(method, f"/jobs/{task_id}{path}").status == 404
    assert served.ask("POST", f"/msg/notif/{task_id}", {"msg": "x"}).status == 404
    check_problem(served.ask("GET", "/jobs/T9"), 404, "ERR-JOB-006")


def test_a_job_is_cancelled_once(served: Served) -> None:
    served.create("T1")
    first = served.ask("POST", "/jobs/T1/cancel")
    assert (first.status, first.json["status"]) == (200, "terminate")
    again = served.ask("POST", "/jobs/T1/cancel")
    assert (again.status, again.json["finished_at"]) == (200, first.json["finished_at"])


def test_the_node_tells_who_it_is(served: Served) -> None:
    health = served.ask("GET", "/healthz").json
    assert set(health.pop("counts")) == {"queued", "running", "finish", "error", "timeout", "terminate", "left"}
    assert health.pop("settings")["digest"] == "0d1e"
    assert health == {
        "version": "0.1.0",
        "identity": "node-1",
        "uptime_s": 12.5,
        "supervisor": {"pid": 10},
        "worker": {"pid": 11},
        "execs": {"pid": None},
        "broker": None,
        "reefguide": None,
        "outbox": None,
        "slots": 4,
        "update": None,
        "manager": None,
        "versions": None,
    }
    assert served.ask("GET", "/readyz").json == {"ready": True, "reasons": []}
    served.desk.ready = Readiness(False, ("The node is stopping.",))
    unready = served.ask("GET", "/readyz")
    assert (unready.status, unready.json["reasons"]) == (503, ["The node is stopping."])
    served.desk.exec_states = (ExecState("k", "n", "running", 5, 1, None, 0.0),)
    (state,) = served.ask("GET", "/execs").json["execs"]
    assert state["since"] == "1970-01-01T00:00:00.000Z"
    assert (state["key"], state["state"], state["pid"]) == ("k", "running", 5)


def test_the_front_page_leads_on(served: Served) -> None:
    welcome = served.ask("GET", "/").json
    assert welcome["message"]
    for link in welcome["links"].values():
        assert served.ask("GET", "/" + link).status == 200


def test_unknown_pages_and_methods_are_answered_as_json(served: Served) -> None:
    check_problem(served.ask("GET", "/nothing"), 404, "ERR-API-001")
    check_problem(served.ask("GET", "/jobs/"), 404, "ERR-API-001")
    check_problem(served.ask("GET", "/t/x/jobs"), 404, "ERR-API-001")
    reply = served.ask("DELETE", "/jobs")
    check_problem(reply, 405, "ERR-API-002")
    assert reply.headers["allow"] == "GET"
    create = served.ask("GET", "/job/create")
    check_problem(create, 405, "ERR-API-002")
    assert create.json["status"] == "error"


def test_head_is_answered_without_a_body(served: Served) -> None:
    served.create("T1")
    for path in ("/", "/healthz", "/jobs", "/jobs/T1", "/jobs/T1/log", "/jobs/T1/log?follow=1", "/jobs/T9"):
        reply = served.ask("HEAD", path)
        assert reply.status == (404 if path.endswith("T9") else 200)
        assert reply.body == b""
    assert served.ask("HEAD", "/job/create").status == 405


def test_answers_are_dated_and_not_kept(served: Served) -> None:
    headers = served.ask("GET", "/healthz").headers
    assert headers["date"].endswith("GMT")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers
    assert json.loads(served.ask("GET", "/openapi.json").body)["openapi"].startswith("3.")
