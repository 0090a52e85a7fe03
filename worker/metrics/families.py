"""Which metrics there are: from an observation to families of samples (docs/metrics.md explains each)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from job_item.job import Status
from job_item.link import ExecState
from job_item.release.marker import Marker
from worker.desk import OutboxState, Outcome
from worker.metrics.exposition import Family, Labels
from worker.metrics.observation import Jobs, Observation

OTHER = "(not configured)"
"""The label of all events that the settings do not know (any more)."""

SAYINGS = ("who", "note", "output", "failed", "finish", "result", "file")
OUTCOMES: tuple[Outcome, ...] = ("taken", "unheard", "refused")

EXEC_STATES = ("waiting", "starting", "running", "backoff", "stopped", "failed")

Samples = list[tuple[Labels, float]]


def families(seen: Observation) -> Iterator[Family]:
    """All metrics of a node."""
    yield from _node(seen)
    yield from _updates(seen.health.updates, seen.health.channel)
    yield from _manager(seen, time.time())
    yield from _outbox(seen.health.outbox)
    if seen.jobs is not None:
        yield from _jobs(seen.jobs, time.time())
    yield from _execs(seen)
    yield from _machine(seen)
    yield from _processes(seen)


def _node(seen: Observation) -> Iterator[Family]:
    about = {"version": seen.health.version, "identity": _clean(seen.health.identity)}
    yield Family("job_item_node_info", "gauge", "Who this node is; always 1.", [(about, 1)])
    yield Family("job_item_node_uptime_seconds", "gauge", "Since the node was started.", [({}, seen.health.uptime_s)])
    yield Family("job_item_node_ready", "gauge", "Whether jobs are taken and run.", [({}, seen.is_ready)])
    restarts: Samples = [({"child": room}, max(0, births - 1)) for room, births in seen.births.items()]
    yield Family("job_item_child_restarts_total", "counter", "How often a child process was replaced.", restarts)
    broker = seen.health.broker
    up: Samples = [({"broker": broker.type}, broker.connected)] if broker else []
    yield Family("job_item_broker_up", "gauge", "Whether the connection to the message broker is up.", up)
    refused: Samples = [({"broker": broker.type}, broker.refused)] if broker else []
    yield Family("job_item_broker_refused_total", "counter", "Messages of the broker that nobody can use.", refused)


def _manager(seen: Observation, now: float) -> Iterator[Family]:
    manager = seen.health.settings.manager
    where = {"manager": _clean(manager.url)} if manager else {}
    up: Samples = [(where, not manager.is_away)] if manager else []
    yield Family("job_item_manager_up", "gauge", "Whether the Job Manager answered as it should, when last asked.", up)
    age: Samples = [(where, max(0.0, now - manager.answered_at))] if manager else []
    about = "Age of the answer of the Job Manager that is in force."
    yield Family("job_item_manager_answer_age_seconds", "gauge", about, age)


def _outbox(outbox: OutboxState | None) -> Iterator[Family]:
    kinds = SAYINGS if outbox else ()
    outbox = outbox or OutboxState({})
    waiting: Samples = [({"kind": kind}, outbox.waiting.get(kind, 0)) for kind in kinds]
    about = "What is still to be said of jobs, and handed to the Job Manager."
    yield Family("job_item_outbox_waiting", "gauge", about, waiting)
    size: Samples = [({}, outbox.file_bytes)] if kinds else []
    yield Family("job_item_outbox_file_bytes", "gauge", "What the files take that wait for the Job Manager.", size)
    said: Samples = [
        ({"kind": kind, "outcome": outcome}, outbox.outcomes.get((kind, outcome), 0))
        for kind in kinds
        for outcome in OUTCOMES
    ]
    about = "What left the outbox since the job child was started: taken, unheard or refused."
    yield Family("job_item_outbox_said_total", "counter", about, said)


def _updates(marker: Marker, channel: str | None) -> Iterator[Family]:
    about: Samples = [({"channel": channel}, 1)] if channel else []
    yield Family("job_item_update_info", "gauge", "Which releases this node takes; always 1.", about)
    current: Samples = [({"version": marker.current.version}, not marker.is_on_trial)] if marker.current else []
    yield Family("job_item_update_confirmed", "gauge", "Whether the version of an update has proved itself.", current)
    last = marker.last
    ended: Samples = [({"version": last.version, "result": last.result}, last.at)] if last else []
    yield Family("job_item_update_last_timestamp_seconds", "gauge", "What became of the last update, and when.", ended)


def _jobs(jobs: Jobs, now: float) -> Iterator[Family]:
    counts: Counter[tuple[str, Status]] = Counter({(event, status): 0 for event in jobs.events for status in Status})
    for (event, status), number in jobs.counts.items():
        counts[_event(jobs, event), status] += number
    held: Samples = [({"event": event, "status": str(status)}, number) for (event, status), number in counts.items()]
    yield Family("job_item_jobs", "gauge", "Jobs in the journal; ended ones leave it as `keep` says.", held)
    yield from _steps(jobs)
    queued = sum(number for (_, status), number in jobs.counts.items() if status is Status.QUEUED)
    running = sum(number for (_, status), number in jobs.counts.items() if status is Status.RUNNING)
    age_s = max((now - moment for moment in jobs.oldest.values()), default=0.0)
    yield Family("job_item_queue_jobs", "gauge", "Jobs that wait.", [({}, queued)])
    yield Family("job_item_queue_limit", "gauge", "How many may wait.", [({}, jobs.queue_limit)])
    yield Family("job_item_queue_oldest_age_seconds", "gauge", "Age of the oldest that waits.", [({}, max(0.0, age_s))])
    yield Family("job_item_slots", "gauge", "How many jobs may run at once.", [({}, jobs.slots)])
    yield Family("job_item_slots_used", "gauge", "How many do.", [({}, running)])
    yield Family("job_item_journal_log_bytes", "gauge", "Output kept of ended jobs.", [({}, jobs.log_bytes)])
    meter = jobs.meter.events
    waited = "From the moment an attempt could start to the moment it did."
    yield Family(
        "job_item_dispatch_seconds",
        "histogram",
        waited,
        histograms={event: sums.waited for event, sums in meter.items()},
    )
    yield Family(
        "job_item_run_seconds",
        "histogram",
        "How long attempts ran.",
        histograms={event: sums.ran for event, sums in meter.items()},
    )
    output: Samples = [
        ({"event": event, "kind": kind}, getattr(sums, f"{kind}_bytes"))
        for event, sums in meter.items()
        for kind in ("stdout", "stderr", "dropped")
    ]
    about = "Output of ended attempts by stream; `dropped` is the part beyond the limit."
    yield Family("job_item_output_bytes_total", "counter", about, output)
    cpu: Samples = [({"event": event}, sums.cpu_s) for event, sums in meter.items()]
    yield Family("job_item_cpu_seconds_total", "counter", "CPU time of ended attempts.", cpu)


def _steps(jobs: Jobs) -> Iterator[Family]:
    accepted: Counter[str] = Counter(dict.fromkeys(jobs.events, 0))
    retried: Counter[str] = Counter(accepted)
    ended: Counter[tuple[str, Status]] = Counter(
        {(event, status): 0 for event in jobs.events for status in Status if status.is_final}
    )
    for (name, before, after), number in jobs.steps.items():
        event = _event(jobs, name)
        if before is None:
            accepted[event] += number
        elif after is Status.QUEUED:
            retried[event] += number
        elif after is not None and after.is_final:
            ended[event, after] += number
    of_event = "since the job child was started."
    by_event = {"accepted": accepted, "retried": retried}
    for word, found in by_event.items():
        samples: Samples = [({"event": event}, number) for event, number in found.items()]
        about = {"accepted": f"Jobs taken in {of_event}", "retried": f"Attempts that another one followed {of_event}"}
        yield Family(f"job_item_jobs_{word}_total", "counter", about[word], samples)
    ends: Samples = [({"event": event, "status": str(status)}, number) for (event, status), number in ended.items()]
    yield Family("job_item_jobs_ended_total", "counter", f"Jobs that ended {of_event}", ends)


def _execs(seen: Observation) -> Iterator[Family]:
    states: Samples = [
        ({"exec": _clean(each.key), "state": state}, each.state == state)
        for each in seen.execs
        for state in EXEC_STATES
    ]
    yield Family("job_item_exec_state", "gauge", "1 for the state that a background command is in.", states)
    attempts: Samples = [({"exec": _clean(each.key)}, each.attempts) for each in seen.execs]
    yield Family("job_item_exec_attempts", "gauge", "Tries in a row of a background command.", attempts)
    ready: Samples = [({"exec": _clean(each.key)}, each.ready) for each in seen.execs]
    yield Family("job_item_exec_ready", "gauge", "Whether a background command is ready.", ready)
    health: Samples = [(_health(each), each.health == "healthy") for each in seen.execs if each.health is not None]
    yield Family("job_item_exec_healthy", "gauge", "What the health probe of a background command said last.", health)


def _health(each: ExecState) -> Labels:
    return {"exec": _clean(each.key)}


def _machine(seen: Observation) -> Iterator[Family]:
    machine = seen.machine
    yield Family("job_item_host_cpus", "gauge", "Logical processors.", [({}, machine.cpus)])
    cpu: Samples = [({"mode": mode}, seconds) for mode, seconds in machine.cpu_s.items()]
    yield Family("job_item_host_cpu_seconds_total", "counter", "Time of all processors by what they did.", cpu)
    load: Samples = [({"minutes": minutes}, value) for minutes, value in zip("1 5 15".split(), machine.load)]  # noqa: B905 - unknown load is empty
    yield Family("job_item_host_load", "gauge", "Load average.", load)
    kinds = ("total", "available", "used", "free", "buffers", "cached", "swapTotal", "swapFree")
    kept: Samples = [({"kind": kind}, machine.memory[kind]) for kind in kinds if kind in machine.memory]
    yield Family("job_item_host_memory_bytes", "gauge", "Memory by kind.", kept)
    for what in ("total_bytes", "free_bytes", "total_inodes", "free_inodes"):
        samples: Samples = [({"folder": name}, getattr(usage, what)) for name, usage in machine.disks.items()]
        about = f"The file system that holds a folder: {what.replace('_', ' ')}."
        word, unit = what.split("_")
        yield Family(f"job_item_host_disk_{word}_{unit}", "gauge", about, samples)
    for what in ("received_bytes", "received_errors", "sent_bytes", "sent_errors"):
        sent: Samples = [({"interface": name}, getattr(each, what)) for name, each in machine.traffic.items()]
        yield Family(f"job_item_host_network_{what}_total", "counter", f"Interfaces: {what.replace('_', ' ')}.", sent)
    unknown: Samples = [({"query": name}, 1) for name in machine.unknown]
    yield Family("job_item_host_unknown", "gauge", "1 for what the machine does not tell; the log says why.", unknown)


def _processes(seen: Observation) -> Iterator[Family]:
    own = seen.machine.processes
    cpu: Samples = [({"process": name}, each.cpu_s) for name, each in own.items()]
    yield Family("job_item_process_cpu_seconds_total", "counter", "CPU time of the node's own processes.", cpu)
    memory: Samples = [({"process": name}, each.resident_bytes) for name, each in own.items()]
    yield Family("job_item_process_resident_bytes", "gauge", "Memory of them, shared pages counted in each.", memory)


def _event(jobs: Jobs, event: str) -> str:
    return event if event in jobs.events else OTHER


def _clean(text: str) -> str:
    """Text that has a UTF-8 form."""
    return text.encode("utf-8", "replace").decode()
