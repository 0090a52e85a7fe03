"""What the command line says: exit codes, lines, tables, failures."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from job_item.codes import REGISTER
from job_item.errors import BadMessage, Bug, Fault, JobFailure, NodeError, SettingsError, Unavailable
from job_item.settings import Settings
from supervisor.cli.failure import exit_code_of, tell
from supervisor.cli.logs import last_lines
from supervisor.cli.outcome import outcome_exit
from supervisor.cli.play import command
from supervisor.cli.register import find_code
from supervisor.cli.settings import lines
from supervisor.nodeview import node_view
from supervisor.reach import reach
from supervisor.views import exec_table, job_table, job_view, plan_table, used
from supervisor.wording import age_s, duration, harmless, moment, size


@pytest.mark.parametrize(
    ("status", "exit_code", "signal", "exits_with"),
    [
        ("finish", 0, None, 0),
        ("finish", None, None, 0),
        ("timeout", None, 15, 124),
        ("terminate", None, 9, 143),
        ("error", 3, None, 3),
        ("error", 255, None, 255),
        ("error", 0, None, 1),
        ("error", None, None, 1),
        ("error", None, 11, 139),
        ("error", 256, None, 1),
        ("error", -9, None, 1),
    ],
)
def test_the_exit_code_tells_the_outcome(
    status: str, exit_code: int | None, signal: int | None, exits_with: int
) -> None:
    job = {"status": status, "exit_code": exit_code, "attempts": [{"signal": 1}, {"signal": signal}]}
    assert outcome_exit(job) == exits_with


def test_a_job_that_never_began_is_an_error_like_any() -> None:
    assert outcome_exit({"status": "error", "exit_code": None, "attempts": []}) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError((Fault("ERR-CFG-001", "x"),)), 78),
        (Unavailable("ERR-SUP-050", "x"), 69),
        (BadMessage("ERR-JOB-001", "x"), 2),
        (Bug("ERR-SUP-055", "x"), 70),
        (JobFailure("ERR-RUN-001", "x"), 1),
        (NodeError("ERR-JOB-006", "x"), 1),
        (ZeroDivisionError("x"), 70),
    ],
)
def test_every_kind_of_failure_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_failure_is_one_sentence_a_remedy_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(NodeError("ERR-JOB-006", "There is no job T1.", "Do this.")) == 1
    assert capsys.readouterr().err == "error: There is no job T1. [ERR-JOB-006]\n  Do this.\n"


def test_the_remedy_is_the_registers_where_none_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Unavailable("ERR-JOB-004", "The queue is full."))
    assert REGISTER["ERR-JOB-004"].remedy in capsys.readouterr().err


def test_all_faults_are_listed_with_their_places(capsys: pytest.CaptureFixture[str]) -> None:
    faults = (
        Fault("ERR-CFG-001", "is wrong", "config.yaml", 3, "jobs[0].cmd", "Right it."),
        Fault("ERR-CFG-001", "is strange", "environment TOKEN", remedy="See to it.", warning=True),
        Fault("ERR-CFG-001", "is missing", remedy="Write it."),
    )
    assert tell(SettingsError(faults)) == 78
    assert capsys.readouterr().err.splitlines() == [
        "config.yaml:3: error: jobs[0].cmd: is wrong [ERR-CFG-001]",
        "  Right it.",
        "environment TOKEN: warning: is strange [ERR-CFG-001]",
        "  See to it.",
        "error: is missing [ERR-CFG-001]",
        "  Write it.",
    ]


@pytest.mark.parametrize("entry", REGISTER.values(), ids=lambda entry: entry.code)
def test_every_code_is_found_by_each_of_its_names(entry: Any) -> None:
    assert find_code(entry.code.lower(), REGISTER.values()) is entry
    assert entry.was is None or find_code(entry.was, REGISTER.values()) is entry


def test_an_unknown_code_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadMessage) as caught:
        find_code("ERR-JOB-0001", REGISTER.values())
    assert "ERR-JOB-001" in (caught.value.remedy or "")
    with pytest.raises(BadMessage) as caught:
        find_code("?", REGISTER.values())
    assert caught.value.remedy is None


@given(
    st.lists(st.sampled_from([b"", b"a", b"\r", b"long line"])), st.booleans(), st.integers(min_value=0, max_value=6)
)
def test_the_last_lines_are_those_that_python_sees(pieces: list[bytes], ended: bool, count: int) -> None:
    output = b"\n".join(pieces) + b"\n" * ended
    split = output.split(b"\n")
    whole = [line + b"\n" for line in split[:-1]] + ([split[-1]] if split[-1] else [])
    assert last_lines(output, count) == b"".join(whole[len(whole) - count :] if count < len(whole) else whole)


def test_a_command_is_spelled_as_the_shell_reads_it() -> None:
    from pathlib import Path

    assert command("logs", "T1", config=None) == "job_item logs T1"
    assert command("logs", "T1", config=Path("my node.yaml")) == "job_item logs T1 --config 'my node.yaml'"


@pytest.mark.parametrize(
    ("span_s", "text"),
    [
        (None, ""),
        (0.0, "0 ms"),
        (0.0421, "42 ms"),
        (3.204, "3.20 s"),
        (12.4, "12 s"),
        (59.9, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7623, "2 h 7 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_spans_are_said_as_people_do(span_s: float | None, text: str) -> None:
    assert duration(span_s) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, ""), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64.0 MiB"), (3 << 40, "3072.0 GiB")],
)
def test_sizes_are_said_as_people_do(count: int | None, text: str) -> None:
    assert size(count) == text


def test_a_moment_of_today_has_no_day() -> None:
    now = datetime.now().astimezone()
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    assert moment(noon.astimezone(UTC).isoformat(), now) == "12:00:00"
    assert moment((noon - timedelta(days=400)).isoformat(), now).endswith(" 12:00:00")
    assert moment(None) == ""
    assert age_s("2025-01-02T03:04:05.678Z", datetime(2025, 1, 2, 3, 4, 7, 678000, UTC)) == 2.0


@given(st.text())
def test_foreign_text_cannot_command_the_terminal(text: str) -> None:
    assert not set(harmless(text)) & {"\x1b", "\r", "\x07", "\x9b", "\x00"}
    assert len(harmless(text)) == len(text)


def shown(view: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(view)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


HOSTILE = "[/red] [bold]x[/bold] :smile: \x1b[2J"
JOB: dict[str, Any] = {
    "task_id": "0" * 36,
    "event": HOSTILE,
    "status": "running",
    "attempt": 1,
    "exit_code": None,
    "created_at": "2025-01-02T03:04:05.678Z",
    "started_at": "2025-01-02T03:04:05.678Z",
    "finished_at": None,
    "duration_s": None,
    "error": {"code": "ERR-RUN-001", "message": HOSTILE, "remedy": HOSTILE},
    "log_bytes": 2048,
    "notes": [{"number": 1, "at": "2025-01-02T03:04:05.678Z", "msg": HOSTILE}],
    "attempts": [
        {
            "attempt": 1,
            "status": None,
            "started_at": "2025-01-02T03:04:05.678Z",
            "finished_at": None,
            "duration_s": None,
            "exit_code": None,
            "signal": 9,
            "usage": {"cpu_s": 0.5, "max_rss_bytes": 0, "stdout_bytes": 1, "stderr_bytes": 2, "processes": [HOSTILE]},
        }
    ],
}
EXEC: dict[str, Any] = {
    "key": HOSTILE,
    "name": HOSTILE,
    "state": "running",
    "pid": None,
    "attempts": 1,
    "exit_code": None,
    "since": "2025-01-02T03:04:05.678Z",
    "ready": True,
    "health": HOSTILE,
    "reason": HOSTILE,
}
NODE: dict[str, Any] = {
    "identity": HOSTILE,
    "version": "1",
    "uptime_s": 1.0,
    "url": "http://127.0.0.1:1",
    "supervisor": {"pid": None},
    "worker": {"pid": 2},
    "execs": {"pid": None},
    "ready": False,
    "reasons": [HOSTILE],
    "slots": 4,
    "counts": {"queued": 1234, "running": 2},
    "settings": {"digest": "d", "since": "2025-01-02T03:04:05.678Z", "faults": [HOSTILE], "pending": []},
    "commands": [EXEC],
    "jobs": [JOB],
}


@pytest.mark.parametrize("view", [job_table([JOB]), job_view(JOB), exec_table([EXEC]), node_view(NODE)])
def test_a_table_shows_foreign_text_as_it_is_and_obeys_none_of_it(view: RenderableType) -> None:
    text = shown(view)
    assert "[bold]x[/bold] :smile:" in " ".join(text.split())
    assert "\x1b" not in text


def test_what_a_run_used_is_shown_only_where_it_was_measured() -> None:
    ended = JOB["attempts"][0]["usage"] | {"max_rss_bytes": 3 << 20}
    assert used(ended) == ("500 ms", "3.0 MiB", "3 B")
    assert used(JOB["attempts"][0]["usage"]) == ("", "", "")


def test_what_a_handler_returned_is_shown_and_of_much_the_beginning() -> None:
    assert '{"area": 6}' in shown(job_view({**JOB, "output": {"area": 6}}))
    assert "returned" not in shown(job_view({**JOB, "output": None}))
    assert "(all of it with --json)" in " ".join(shown(job_view({**JOB, "output": "a" * 5000})).split())


def test_the_task_id_stays_in_one_piece_on_a_narrow_terminal() -> None:
    console = Console(file=io.StringIO(), width=60)
    console.print(job_table([JOB]))
    assert "0" * 36 in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_node_at_a_glance_says_what_is_missing() -> None:
    text = shown(node_view({**NODE, "reasons": ["draining"]}))
    assert "not ready: draining" in text
    assert "2 of 4 in use" in text
    assert "1234" in text


def test_settings_that_are_still_to_be_taken_over_are_told_of() -> None:
    settings = {**NODE["settings"], "faults": [], "pending": ["worker"]}
    text = shown(node_view({**NODE, "settings": settings}))
    assert "(d); still to be taken over by: worker" in text
    assert "not in force" not in text


def test_an_exec_that_does_not_run_is_neither_ready_nor_healthy() -> None:
    text = shown(exec_table([{**EXEC, "state": "stopped", "ready": False, "health": "healthy"}]))
    assert "ready" not in text.splitlines()[1]
    assert "healthy" not in text
    assert "not ready" in shown(exec_table([{**EXEC, "ready": False, "health": None}]))


def test_a_plan_shows_foreign_text_as_it_is() -> None:
    text = shown(plan_table([{"path": HOSTILE, "kind": "changed", "effect": "in place"}]))
    assert "[bold]x[/bold] :smile:" in " ".join(text.split())
    assert "nothing restarts" in text
    assert "\x1b" not in text


def test_settings_become_lines_without_what_is_unset() -> None:
    tree = {"jobs": [{"event": "e", "cmd": ["a", "b"], "timeout": None}], "drain_grace": 30.0, "end_point": ""}
    assert list(lines(tree)) == [
        ("jobs[0].event", "e"),
        ("jobs[0].cmd[0]", "a"),
        ("jobs[0].cmd[1]", "b"),
        ("drain_grace", "30.0"),
        ("end_point", ""),
    ]


def test_every_server_of_the_settings_is_tried() -> None:
    tried = []

    def connect(host: str, port: int) -> None:
        tried.append((host, port))
        if host == "away":
            raise ConnectionRefusedError(111, "Connection refused")

    broker = {"type": "nats", "host": "away", "port": "4222"}
    settings = Settings.model_validate({"end_point": "https://manager", "broker_connection": broker})
    faults = reach(settings, connect)
    assert tried == [("away", 4222), ("manager", 443)]
    assert [(fault.code, fault.path, fault.warning) for fault in faults] == [
        ("ERR-SUP-057", "broker_connection", False)
    ]
    assert "Connection refused" in faults[0].message
    assert reach(Settings(), connect) == ()


def test_a_node_of_a_job_manager_says_how_it_stands_with_him() -> None:
    manager = {"url": "http://m", "answered_at": NODE["settings"]["since"], "events": [], "code": None, "reason": None}
    broker = {"type": "nats", "connected": True, "since": manager["answered_at"], "reason": None, "refused": 0}
    outbox = {"waiting": {"finish": 3, "file": 0}, "file_bytes": 0}
    text = shown(node_view({**NODE, "manager": manager, "broker": broker, "outbox": outbox}))
    assert "http://m, last answer" in text and "nats, connected" in text and "3 finish" in text
    away = {**manager, "code": "ERR-MGR-001", "reason": "It cannot be reached."}
    lost = {**broker, "connected": False, "reason": "no route"}
    text = shown(node_view({**NODE, "manager": away, "broker": lost, "outbox": None}))
    assert "ERR-MGR-001" in text and "nats, away: no route" in text and "unsent" not in text
