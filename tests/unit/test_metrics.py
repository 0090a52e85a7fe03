"""`/metrics`: proper text, true numbers, bounded labels, quick and never in the way."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from job_item.job import Status, Usage
from job_item.link import ExecState, NodeState
from job_item.manager.state import ManagerState
from job_item.reload import SettingsState
from job_item.settings import Job, Settings
from tests.conftest import eventually
from tests.desks import MemoryDesk, serve
from tests.dispatching import company
from tests.journals import accept, claim, end_of, in_loop, journal_in, open_journal
from tests.machines import lay_out
from tests.unit.test_local import about
from worker.closed import ClosedDesk
from worker.desk import BrokerState, Health, OutboxState
from worker.journal import SayingKind, Settlement
from worker.local import LocalDesk
from worker.metrics.exposition import CONTENT_TYPE, Family, write
from worker.metrics.families import EXEC_STATES, OTHER, SAYINGS, families
from worker.metrics.histogram import SECONDS, Histogram
from worker.metrics.machine import INTERFACES, Lookout, Machine, look
from worker.metrics.meter import Meter
from worker.metrics.observation import Jobs, Observation
from worker.news import News
from worker.seams import Assignment
from worker.share import Shares

HEALTH = Health("0.1.0", "node-1", 12.5, 10, 11, None)
SPEC = Job(event="hello", cmd="true")

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Values:
    """All samples of an answer, by name and labels; no sample stands there twice."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(values: Values, name: str, **labels: str) -> float | None:
    return values.get((name, frozenset(labels.items())))


def shown(seen: Observation) -> Values:
    return parse(write(families(seen)))


def jobs(**members: object) -> Jobs:
    usual: dict[str, object] = {
        "counts": {}, "steps": {}, "oldest": {}, "log_bytes": 0, "slots": 4, "queue_limit": 9,
        "events": frozenset({"hello"}), "meter": Meter(),
    }  # fmt: skip
    return Jobs(**{**usual, **members})  # type: ignore[arg-type]  # a test gives what it names


@pytest.mark.parametrize("connected", [True, False])
def test_the_state_of_the_broker_is_shown_where_there_is_one(connected: bool) -> None:
    state = BrokerState("nats", connected, 0.0, refused=3)
    values = shown(Observation(replace(HEALTH, broker=state), is_ready=True))
    assert value(values, "job_item_broker_up", broker="nats") == connected
    assert value(values, "job_item_broker_refused_total", broker="nats") == 3
    assert not any(name.startswith("job_item_broker") for name, _ in shown(Observation(HEALTH, is_ready=True)))


def assignment(started_at: float = 100.0, due_at: float = 99.0) -> Assignment:
    return Assignment("T1", "hello", 1, 1, b"{}", SPEC, started_at, due_at)


def end(**members: object) -> Settlement:
    return Settlement("T1", 1, 1, Status.FINISH, 103.0, **members)  # type: ignore[arg-type]  # a test gives what it names


def test_the_page_is_text_that_prometheus_reads() -> None:
    with serve() as served:
        served.create("T1")
        reply = served.ask("GET", "/metrics")
        assert (reply.status, reply.headers["content-type"]) == (200, CONTENT_TYPE)
        values = parse(reply.body.decode())
        assert value(values, "job_item_jobs", event="hello", status="queued") == 1
        assert value(values, "job_item_node_info", version="0.1.0", identity="node-1") == 1
        assert served.ask("HEAD", "/metrics").status == 200
        assert served.ask("POST", "/metrics").status == 405


def test_the_page_asks_for_the_token_and_the_host_as_every_other() -> None:
    with serve(token="secret") as served:
        assert served.ask("GET", "/metrics").status == 401
        assert served.ask("GET", "/metrics", headers={"authorization": "Bearer secret"}).status == 200
        assert served.ask("GET", "/t/secret/metrics").status == 200
        foreign = {"authorization": "Bearer secret", "host": "evil.example"}
        assert served.ask("GET", "/metrics", headers=foreign).status == 403


@given(st.text(), st.floats(allow_nan=False))
def test_any_label_and_any_number_come_back_as_they_were(label: str, number: float) -> None:
    label = label.encode("utf-8", "replace").decode().replace("\r", "").replace("\0", "")
    text = write([Family("m", "gauge", "About\nit \\ all.", [({"x": label}, number)])] if math.isfinite(number) else [])
    for (name, labels), read in parse(text).items():
        assert (name, dict(labels), read) == ("m", {"x": label}, number)


@given(st.lists(st.floats(0, 1e5)))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    histogram = Histogram()
    for each in values:
        histogram.observe(each)
    buckets = dict(histogram.buckets())
    assert buckets["+Inf"] == len(values)
    assert histogram.sum == pytest.approx(sum(values))
    for bound in SECONDS:
        assert buckets[repr(bound)] == sum(each <= bound for each in values)


def test_waiting_running_and_output_are_measured_by_event() -> None:
    meter = Meter()
    meter.started(assignment())
    meter.settled(assignment(), end(usage=Usage(1.5, 0, 10, 4, 3)), Status.FINISH, {})
    meter.started(assignment(started_at=50.0))  # a clock that was set back
    values = shown(Observation(HEALTH, True, jobs(meter=meter)))
    assert value(values, "job_item_dispatch_seconds_count", event="hello") == 2
    assert value(values, "job_item_dispatch_seconds_sum", event="hello") == 1
    assert value(values, "job_item_run_seconds_bucket", event="hello", le="5.0") == 1
    assert value(values, "job_item_run_seconds_bucket", event="hello", le="2.5") == 0
    sizes = [
        value(values, "job_item_output_bytes_total", event="hello", kind=k) for k in ("stdout", "stderr", "dropped")
    ]
    assert sizes == [10, 4, 3]
    assert value(values, "job_item_cpu_seconds_total", event="hello") == 1.5


def test_events_that_are_not_configured_share_one_label() -> None:
    foreign = {(f"old{number}", Status.ERROR): 2 for number in range(1000)}
    steps = {(f"old{number}", None, Status.QUEUED): 1 for number in range(1000)}
    values = shown(Observation(HEALTH, True, jobs(counts={**foreign, ("hello", Status.RUNNING): 1}, steps=steps)))
    assert value(values, "job_item_jobs", event=OTHER, status="error") == 2000
    assert value(values, "job_item_jobs_accepted_total", event=OTHER) == 1000
    assert {dict(labels).get("event") for _, labels in values} == {None, "hello", OTHER}
    assert value(values, "job_item_slots_used") == 1


def test_steps_become_counters() -> None:
    steps = {
        ("hello", None, Status.QUEUED): 7,
        ("hello", Status.QUEUED, Status.RUNNING): 6,
        ("hello", Status.RUNNING, Status.QUEUED): 2,
        ("hello", Status.RUNNING, Status.FINISH): 3,
        ("hello", Status.QUEUED, Status.TERMINATE): 1,
        ("hello", Status.FINISH, None): 3,
    }
    values = shown(Observation(HEALTH, True, jobs(steps=steps)))
    assert value(values, "job_item_jobs_accepted_total", event="hello") == 7
    assert value(values, "job_item_jobs_retried_total", event="hello") == 2
    ended = {
        s: value(values, "job_item_jobs_ended_total", event="hello", status=s) for s in ("finish", "terminate", "error")
    }
    assert ended == {"finish": 3, "terminate": 1, "error": 0}


def test_the_age_of_the_oldest_is_that_of_the_oldest_of_all_events() -> None:
    now = time.time()
    values = shown(Observation(HEALTH, True, jobs(oldest={"hello": now - 10, "old": now - 900})))
    assert value(values, "job_item_queue_oldest_age_seconds") == pytest.approx(900, abs=100)
    future = shown(Observation(HEALTH, True, jobs(oldest={"hello": now + 900})))
    assert value(future, "job_item_queue_oldest_age_seconds") == 0


def test_the_parts_of_the_node_are_shown() -> None:
    execs = (
        ExecState("web", "", "running", 5, 1, None, 0.0, True, "unhealthy"),
        ExecState("b\ud800", "", "failed", None, 3, 1, 0.0),
    )
    seen = Observation(HEALTH, False, None, execs, {"worker": 3, "execs": 1})
    values = shown(seen)
    assert [value(values, "job_item_exec_state", exec="web", state=s) for s in EXEC_STATES] == [0, 0, 1, 0, 0, 0]
    assert value(values, "job_item_exec_state", exec="b?", state="failed") == 1
    assert value(values, "job_item_exec_healthy", exec="web") == 0
    assert value(values, "job_item_exec_ready", exec="web") == 1
    assert value(values, "job_item_exec_attempts", exec="b?") == 3
    assert value(values, "job_item_child_restarts_total", child="worker") == 2
    assert value(values, "job_item_child_restarts_total", child="execs") == 0
    assert value(values, "job_item_node_ready") == 0


def test_the_machine_is_what_its_files_say(tmp_path: Path) -> None:
    more = "".join(f"  en{number:03}: 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n" for number in range(100))
    net = lay_out(tmp_path) / "proc/net/dev"
    net.write_text(net.read_text() + more)
    machine = look({"state": tmp_path, "gone": tmp_path / "gone"}, {"worker": 1, "execs": None, "dead": 17}, tmp_path)
    values = shown(Observation(HEALTH, True, None, machine=machine))
    assert value(values, "job_item_host_cpus") == 2
    assert value(values, "job_item_host_cpu_seconds_total", mode="user") == 0.3
    assert value(values, "job_item_host_memory_bytes", kind="total") == 1_000_000 * 1024
    assert (value(values, "job_item_host_disk_total_bytes", folder="state") or 0) > 0
    assert value(values, "job_item_host_network_received_bytes_total", interface="en000") == 1
    assert value(values, "job_item_host_network_received_bytes_total", interface="lo") is None
    assert value(values, "job_item_process_cpu_seconds_total", process="worker") == 4.0
    assert value(values, "job_item_host_unknown", query="disk gone") == 1
    names = {dict(labels).get("interface") for _, labels in values} - {None}
    assert len(names) == INTERFACES


@pytest.mark.parametrize(
    ("file", "query"), [("proc/stat", "cpu"), ("proc/meminfo", "memory"), ("proc/net/dev", "network")]
)
def test_what_the_machine_does_not_tell_is_reported_and_the_rest_is_shown(
    tmp_path: Path, file: str, query: str
) -> None:
    lay_out(tmp_path, {file: "nonsense"})
    machine = look({"state": tmp_path}, {}, tmp_path)
    if query != "network":  # a list without lines is a machine without interfaces
        assert set(machine.unknown) == {query}
    assert value(shown(Observation(HEALTH, True, None, machine=machine)), "job_item_host_load", minutes="1") is not None


@in_loop
async def test_a_machine_that_does_not_answer_holds_no_scrape_up() -> None:
    free, looks = threading.Event(), 0

    def take() -> Machine:
        nonlocal looks
        looks += 1
        free.wait(20)
        return Machine(cpus=3)

    lookout = Lookout(take, patience_s=0.02)
    first = await asyncio.gather(lookout.machine(), lookout.machine())
    assert [set(each.unknown) for each in first] == [{"machine"}, {"machine"}]
    assert looks == 1, "one look at a time"
    free.set()
    async with asyncio.timeout(60):
        while (machine := await lookout.machine()).unknown:
            pass
    assert machine.cpus == 3


@in_loop
async def test_a_failing_query_is_logged_once_for_as_long_as_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    answers = [
        Machine(unknown={"cpu": "No."}),
        Machine(unknown={"cpu": "No."}),
        Machine(),
        Machine(unknown={"cpu": "No."}),
    ]
    lookout = Lookout(lambda: answers.pop(0))
    for _ in range(4):
        await lookout.machine()
    said = capfd.readouterr()
    assert (said.out + said.err).count("host.unknown") == 2


@in_loop
async def test_a_scrape_of_a_hundred_thousand_jobs_is_quick_and_lets_the_loop_turn(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.executemany(
            "INSERT INTO tasks(task_id, event, source, body, status, created_at)"
            " VALUES(?, ?, 't', x'7b7d', 'queued', ?)",
            ((f"T{number}", "ab"[number % 2], 100.0 + number) for number in range(100_000)),
        )
        db.commit()
    async with company(tmp_path, *(Job(event=e, cmd="true") for e in "ab")) as made:
        desk = LocalDesk(about(tmp_path), made.intake, News(), tmp_path, Shares(made.journal), Meter())
        await desk.observe()  # counts once
        best = math.inf
        for _ in range(5):
            begun = time.perf_counter()
            text = write(families(await desk.observe()))
            best = min(best, time.perf_counter() - begun)
        assert best < 0.05
        assert value(parse(text), "job_item_jobs", event="a", status="queued") == 50_000
        assert (value(parse(text), "job_item_queue_oldest_age_seconds") or 0) > 1e9


@in_loop
async def test_the_counts_by_event_follow_every_step_and_survive_a_new_opening(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b", "c")
        made = await claim(journal, "a")
        await journal.settle(end_of(made))
        await journal.ask_cancel("b")
        again = await claim(journal, "c")
        await journal.settle(end_of(again, Status.ERROR, retry_at=1.0))
        counts = {("render", Status.FINISH): 1, ("render", Status.TERMINATE): 1, ("render", Status.QUEUED): 1}
        assert {key: n for key, n in journal.counts_by_event().items() if n} == counts
        assert journal.steps()["render", Status.RUNNING, Status.QUEUED] == 1
        assert journal.oldest_waiting() == {"render": 100.0}
    second = open_journal(tmp_path, "second")
    assert second.counts_by_event() == counts
    await second.forget(["a"])
    assert {key: n for key, n in second.counts_by_event().items() if n} == {
        key: n for key, n in counts.items() if key[1] is not Status.FINISH
    }
    await second.close()


@in_loop
async def test_a_closed_journal_leaves_the_machine_and_the_execs_to_see(tmp_path: Path) -> None:
    known = about(tmp_path)
    known.learn(NodeState(1, 2, (ExecState("web", "", "running", 5, 1, None, 0.0),), births=(("worker", 2),)))
    values = shown(await ClosedDesk(known).observe())
    assert value(values, "job_item_node_ready") == 0
    assert value(values, "job_item_child_restarts_total", child="worker") == 1
    assert value(values, "job_item_exec_state", exec="web", state="running") == 1
    assert (value(values, "job_item_host_cpus") or 0) >= 1
    assert not [name for name, _ in values if name.startswith("job_item_jobs")]


def test_an_event_with_any_name_is_a_label() -> None:
    settings = Settings.model_validate({"jobs": [{"event": 'a"b\\c', "cmd": "true"}]})
    event = settings.jobs[0].event
    values = shown(Observation(HEALTH, True, jobs(events=frozenset({event}))))
    assert value(values, "job_item_jobs", event=event, status="queued") == 0


def test_a_desk_that_breaks_is_answered_as_on_every_page() -> None:
    desk = MemoryDesk()

    async def broken() -> Observation:
        raise OSError("no")

    desk.observe = broken  # type: ignore[method-assign]  # the one way to break it
    with serve(desk) as served:
        assert served.ask("GET", "/metrics").json["code"] == "ERR-API-011"
        eventually(lambda: served.ask("GET", "/healthz").status == 200)


def test_the_manager_and_what_waits_for_him_are_shown_where_there_is_one() -> None:
    manager = ManagerState("http://m", time.time() - 90.0, failure="It is silent.", code="ERR-MGR-001")
    outbox = OutboxState({"finish": 3, "file": 1}, 512, {("note", "taken"): 7, ("result", "refused"): 1})
    health = replace(HEALTH, outbox=outbox, settings=SettingsState(manager=manager))
    values = shown(Observation(health, is_ready=True))
    assert value(values, "job_item_manager_up", manager="http://m") == 0
    assert 90 <= (value(values, "job_item_manager_answer_age_seconds", manager="http://m") or 0) < 150
    waiting = {kind: value(values, "job_item_outbox_waiting", kind=kind) for kind in get_args(SayingKind)}
    assert waiting == {kind: {"finish": 3, "file": 1}.get(kind, 0) for kind in SAYINGS}
    assert value(values, "job_item_outbox_file_bytes") == 512
    assert value(values, "job_item_outbox_said_total", kind="note", outcome="taken") == 7
    assert value(values, "job_item_outbox_said_total", kind="result", outcome="refused") == 1
    without = shown(Observation(HEALTH, is_ready=True))
    assert not any(name.startswith(("job_item_manager", "job_item_outbox")) for name, _ in without)
