"""The trace of a job: from the request to its environment, and to a collector where the OTEL_* variables name one."""

from __future__ import annotations

import http.client
import json
import os
import signal
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from job_item.trace import job_span_id, of_job
from tests.collectors import attributes, collecting
from tests.conftest import eventually, free_port
from tests.nodes import Node, running

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
SHOW = 'echo "[$TRACEPARENT][$TRACESTATE]"'
SETTINGS = {
    "jobs": [
        {"event": "show", "cmd": SHOW},
        {"event": "bad", "cmd": "exit 3", "retries": {"attempts": 2, "backoff": 0.01}},
        {"event": "dies", "cmd": f"{SHOW}; if mkdir begun 2>/dev/null; then sleep 600; fi"},
    ]
}


def submit(node: Node, event: str, task_id: str, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    body = json.dumps({"event": event, "form_body": {}, "task_id": task_id})
    connection.request("POST", "/job/create", body, headers)
    assert connection.getresponse().status == 200
    connection.close()


def otel(url: str, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def test_the_context_of_a_request_reaches_the_job_without_opentelemetry(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        submit(node, "show", "T1", {"traceparent": PARENT, "tracestate": "a=1,b=2"})
        submit(node, "show", "T2", {})
        submit(node, "show", "T3", {"traceparent": "nonsense", "tracestate": "a=1"})
        for task_id, output in (("T1", f"[{PARENT}][a=1,b=2]\n"), ("T2", "[][]\n"), ("T3", "[][]\n")):
            node.await_status(task_id, "finish")
            assert node.output(task_id).decode() == output
        maps = Path(f"/proc/{node.child_pid('worker')}/maps").read_text()
        assert "google/_upb" not in maps, "what sends traces is not loaded"


def test_the_context_survives_the_death_of_the_job_child(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        submit(node, "dies", "T1", {"traceparent": PARENT})
        eventually((tmp_path / "begun").exists)
        node.await_status("T1", "running")
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        assert node.await_status("T1", "finish")["attempt"] == 2
        assert node.output("T1").decode() == f"[{PARENT}][]\n"


def test_each_job_is_a_span_below_its_caller(tmp_path: Path) -> None:
    key = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=7"}
    with collecting() as collector, running(tmp_path, SETTINGS, otel(collector.url, **key)) as node:
        submit(node, "show", "T1", {"traceparent": PARENT, "tracestate": "a=1"})
        submit(node, "show", "T2", {})
        submit(node, "bad", "T3", {"traceparent": PARENT})
        for task_id in ("T1", "T2", "T3"):
            node.await_status(task_id)
        eventually(lambda: all(collector.named(task_id) for task_id in ("T1", "T2", "T3")))
        first, second, third = (collector.named(task_id) for task_id in ("T1", "T2", "T3"))
        assert first and second and third
        assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, SPAN)
        assert node.output("T1").decode() == f"[00-{TRACE}-{first.span_id.hex()}-01][a=1]\n"
        assert (second.trace_id.hex(), second.parent_span_id) == (of_job("T2", None).trace_id, b"")
        assert node.output("T2").decode() == f"[00-{second.trace_id.hex()}-{second.span_id.hex()}-01][]\n"
        assert [event.name for event in first.events] == ["started", "ended"]
        assert first.start_time_unix_nano <= first.events[0].time_unix_nano <= first.end_time_unix_nano
        assert attributes(first)["job_item.status"] == "finish"
        assert first.status.code == Status.STATUS_CODE_UNSET
        assert [attributes(event)["job_item.attempt"] for event in third.events] == [1, 1, 2, 2]
        told = attributes(third)
        assert (told["process.exit.code"], told["error.type"], told["job_item.attempts"]) == (3, "ERR-RUN-001", 2)
        assert third.status.code == Status.STATUS_CODE_ERROR
        assert collector.headers["x-key"] == "7"
        resource = collector.resources[0]
        assert resource["service.name"] == "job_item"
        assert resource["service.instance.id"] == node.health()["identity"]


def test_a_job_whose_worker_died_is_one_whole_span(tmp_path: Path) -> None:
    with collecting() as collector, running(tmp_path, SETTINGS, otel(collector.url, OTEL_SERVICE_NAME="mine")) as node:
        submit(node, "dies", "T1", {"traceparent": PARENT})
        eventually((tmp_path / "begun").exists)
        node.await_status("T1", "running")
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        node.await_status("T1", "finish")
        span = eventually(lambda: collector.named("T1"))
        assert span is not None
        assert span.span_id.hex() == job_span_id("T1")
        assert [event.name for event in span.events] == ["started", "ended"] * 2
        assert collector.resources[0]["service.name"] == "mine"


def test_the_last_spans_are_sent_when_the_node_stops(tmp_path: Path) -> None:
    with collecting() as collector:
        with running(tmp_path, SETTINGS, otel(collector.url, OTEL_BSP_SCHEDULE_DELAY="600000")) as node:
            submit(node, "show", "T1", {})
            node.await_status("T1")
            assert node.stop() == 0
        assert collector.named("T1")


def test_a_collector_that_is_away_hinders_neither_jobs_nor_the_end(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS, otel(f"http://127.0.0.1:{free_port()}")) as node:
        submit(node, "show", "T1", {})
        node.await_status("T1", "finish")
        assert node.stop(within_s=60) == 0


def test_a_wish_that_cannot_be_fulfilled_is_said_and_jobs_run(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS, {"OTEL_TRACES_EXPORTER": "zipkin"}) as node:
        submit(node, "show", "T1", {"traceparent": PARENT})
        node.await_status("T1", "finish")
        assert node.output("T1").decode() == f"[{PARENT}][]\n"
        assert "ERR-HST-005" in node.log.read_text()
