"""The routes of job records: events over HTTP, the end of a job as asked for, and the variables that lead to them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from job_item.job import Status
from tests.conftest import eventually
from tests.desks import Served, serve
from tests.nodes import Node, running

LISTEN = "/job/listen/job_record/T1"

Event = tuple[str, dict[str, Any], str]


@pytest.fixture
def served() -> Iterator[Served]:
    with serve() as served:
        served.create("T1")
        yield served


def events_of(stream: http.client.HTTPResponse) -> Iterator[Event]:
    """The events of a stream as they come."""
    fields: dict[str, str] = {}
    for raw in stream:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id", "")
            fields = {}


@contextmanager
def listen(where: Served | Node, path: str, last: str = "") -> Iterator[Iterator[Event]]:
    """Follow a stream for as long as the context lasts."""
    with closing(where.connect()) as connection:
        connection.request("GET", path, headers={"last-event-id": last} if last else {})
        with connection.getresponse() as stream:
            assert stream.status == 200
            assert (stream.getheader("content-type") or "").startswith("text/event-stream")
            yield events_of(stream)


def test_notifications_are_followed_without_the_output_up_to_the_end(served: Served) -> None:
    served.do(served.desk.begin, "T1")
    served.wait(served.desk.notify("T1", "first"))
    with listen(served, f"{LISTEN}/notif") as events:
        name, note, number = next(events)
        assert (name, note["msg"], note["number"], number) == ("note", "first", 1, "1")
        served.do(served.desk.write, "T1", b"output")
        served.wait(served.desk.notify("T1", "second\nline"))
        assert next(events)[1]["msg"] == "second\nline"
        served.do(served.desk.end, "T1", Status.ERROR, exit_code=3)
        name, end, _ = next(events)
        assert (name, end["status"], end["exit_code"]) == ("end", "error", 3)
        assert list(events) == []


def test_a_follower_of_notifications_goes_on_behind_the_last_one_it_got(served: Served) -> None:
    for text in ("a", "b", "c"):
        served.wait(served.desk.notify("T1", text))
    served.do(served.desk.end, "T1", Status.TERMINATE)
    with listen(served, f"{LISTEN}/notif", last="2") as events:
        got = [(name, data.get("msg", data.get("status"))) for name, data, _ in events]
    assert got == [
        ("note", "c"),
        ("end", "terminate"),
    ]
    for last in ("x", "-1", "1.5", "²", "9" * 19):
        reply = served.ask("GET", f"{LISTEN}/notif", headers={"last-event-id": last.encode().decode("latin-1")})
        assert (reply.status, reply.json["code"]) == (400, "ERR-API-007")


def test_the_log_of_a_record_has_the_events_of_all_attempts(served: Served) -> None:
    for text in (b"one", b"two"):
        served.do(served.desk.begin, "T1")
        served.do(served.desk.write, "T1", text)
        served.do(served.desk.end, "T1", Status.QUEUED if text == b"one" else Status.FINISH, exit_code=0)
    with listen(served, f"{LISTEN}/log") as stream:
        events = list(stream)
    assert [(data["attempt"], data["text"], at) for name, data, at in events if name == "output"] == [
        (1, "one", "3"),
        (2, "two", "2:3"),
    ]
    assert events[-1][0] == "end"
    with listen(served, f"{LISTEN}/log", last="2:1") as stream:
        assert [data["text"] for name, data, _ in stream if name == "output"] == ["wo"]


@pytest.mark.parametrize("path", [f"{LISTEN}x/log", f"{LISTEN}x/notif", "/job/listen/job_record/..%2F/log"])
def test_an_unknown_record_is_not_found(served: Served, path: str) -> None:
    assert served.ask("GET", path).status == 404


@pytest.mark.parametrize("action", ["timeout", "terminate"])
def test_a_record_is_ended_as_asked_for(served: Served, action: str) -> None:
    path = f"/job/job_record/T1/action/{action}"
    served.do(served.desk.begin, "T1")
    reply = served.ask("POST", path)
    assert (reply.status, reply.json["status"]) == (200, action)
    other = {"timeout": "terminate", "terminate": "timeout"}[action]
    assert served.ask("POST", f"/job/job_record/T1/action/{other}").json["status"] == action
    assert served.ask("POST", path.replace("T1", "T2")).status == 404
    assert served.ask("POST", "/job/job_record/T1/action/stop").status == 400
    assert served.ask("GET", path).status == 405


SETTINGS = {
    "credential": {"project_id": "P"},
    "jobs": [
        {"event": "long", "cmd": "echo begun; sleep 600; :", "kill_grace": 0.2, "retries": {"attempts": 3}},
        {"event": "env", "cmd": "env"},
    ],
    "execs": [{"key": "env", "cmd": "env; echo these are all; sleep 600"}],
}


def variables(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("JOB_"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("records"), SETTINGS) as node:
        yield node


def test_execs_and_jobs_are_told_the_addresses_of_the_protocol(node: Node) -> None:
    base = f"http://127.0.0.1:{node.port}"
    share = f"{base}/msg/share/data"
    common = {
        "JOB_ITEM_BASE_URL": base,
        "JOB_ITEM_SHARE_DATA_HOST": share,
        "JOB_ITEM_SHARE_DATA_ADD": f"{share}/:task_id",
        "JOB_ITEM_SHARE_DATA_GET": f"{share}/:task_id/:key",
    }
    log = node.state / "execs" / "env.log"
    eventually(lambda: "these are all" in log.read_text(), within_s=60)
    assert variables(log.read_text()) == {
        **common,
        "JOB_ITEM_APP_ID": "P",
        "JOB_ITEM_CREATE_URL": f"{base}/job/create",
        "JOB_ITEM_LISTEN_LOG": f"{base}/job/listen/job_record/:job_record_uuid/log",
        "JOB_ITEM_LISTEN_NOTIF": f"{base}/job/listen/job_record/:job_record_uuid/notif",
        "JOB_ITEM_LISTEN_ACTION": f"{base}/job/job_record/:job_record_uuid/action/:action",
    }
    task_id = submit(node, "env")
    node.await_status(task_id, "finish")
    seen = variables(node.output(task_id).decode())
    assert common.items() <= seen.items()
    assert not [name for name in seen if name.startswith("JOB_ITEM_LISTEN") or name == "JOB_ITEM_CONFIG_DATA"]


def test_the_path_of_share_data_urls_can_be_set_for_those_who_stand_behind_something_else(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": SETTINGS["jobs"]}, {"JOB_ITEM_SHARE_DATA_BASE": "/behind"}) as node:
        task_id = node.submit("env")
        node.await_status(task_id, "finish")
        seen = variables(node.output(task_id).decode())
        assert seen["JOB_ITEM_SHARE_DATA_ADD"] == f"http://127.0.0.1:{node.port}/behind/:task_id"


@pytest.mark.parametrize("action", ["timeout", "terminate"])
def test_a_running_job_is_ended_with_the_status_that_was_asked_for(node: Node, action: str) -> None:
    task_id = submit(node, "long")
    with listen(node, f"/job/listen/job_record/{task_id}/log") as events:
        assert next(data["text"] for name, data, _ in events if name == "output") == "begun\n"
        status, record = node.ask("POST", f"/job/job_record/{task_id}/action/{action}")
        assert status == 200
        assert record["status"] in ("running", action)
        name, end, _ = list(events)[-1]
    assert (name, end["status"], end["attempt"]) == ("end", action, 1)
    ended = node.job(task_id)
    assert ended["error"]["code"] == {"timeout": "ERR-RUN-007", "terminate": "ERR-RUN-008"}[action]
    assert "on request" in ended["error"]["message"]


def submit(node: Node, event: str) -> str:
    status, answer = node.ask("POST", "/job/create", {"event": event, "form_body": {}})
    assert status == 200, answer
    task_id: str = answer["task_id"]
    return task_id
