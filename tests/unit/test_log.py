"""Lines of the log: their form, their bounds, what they never show, and what finds its way into them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from job_item import log, logsink
from job_item.logline import colour_line, fit, json_line, text_line
from job_item.nodespec import Log
from job_item.redact import MASK, Redactor

Read = Callable[[], list[dict[str, Any]]]
HEAD = {"time": "2025-01-02T03:04:05.678Z", "level": "info", "room": "worker", "event": "job.finished"}


@pytest.fixture
def read(capfd: pytest.CaptureFixture[str]) -> Iterator[Read]:
    """What was written since the last call, line by line; the process's own log set-up is put back at the end."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    yield lambda: [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def configure(secrets: tuple[str, ...] = (), environ: Mapping[str, str] | None = None, **settings: Any) -> None:
    log.configure(
        Log.model_validate({"format": "json"} | settings), room="worker", secrets=secrets, environ=environ or {}
    )


def test_a_line_has_time_level_room_event_and_what_it_is_about(read: Read) -> None:
    configure()
    log.get("execs").error("exec.lost", exec="tunnel", attempt=2, code="ERR-EXE-001")
    (line,) = read()
    moment = datetime.fromisoformat(line.pop("time"))
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert list(line) == ["level", "room", "event", "code", "exec", "attempt"]
    assert line == {
        "level": "error",
        "room": "execs",
        "event": "exec.lost",
        "code": "ERR-EXE-001",
        "exec": "tunnel",
        "attempt": 2,
    }


@pytest.mark.parametrize(
    "moment", [datetime(2025, 1, 2, 3, 4, 5, 678999, UTC), datetime(2025, 1, 2, 3, 4, 5, 678000, UTC)]
)
def test_the_time_is_rfc_3339_in_utc_with_milliseconds(moment: datetime) -> None:
    finish = logsink.Finish(json_line, Redactor(), 4096, lambda: moment)
    assert json.loads(finish(None, "info", {"event": "a.b"}))["time"] == "2025-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    ("configured", "environ", "seen"),
    [
        ("DEBUG", None, "debug info warning error critical"),
        ("INFO", None, "info warning error critical"),
        ("WARN", None, "warning error critical"),
        ("ERROR", None, "error critical"),
        ("ERROR", "debug", "debug info warning error critical"),
        ("DEBUG", "WARN", "warning error critical"),
        ("ERROR", "nonsense", "error critical"),
        ("ERROR", "", "error critical"),
    ],
)
def test_the_level_of_the_environment_wins_over_the_configured_one(
    read: Read, configured: str, environ: str | None, seen: str
) -> None:
    configure(level=configured, environ={} if environ is None else {"LOG_LEVEL": environ})
    logger = log.get("worker")
    for method in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, method)("a.b")
    assert " ".join(line["level"] for line in read()) == seen


@pytest.mark.parametrize(
    ("format_", "is_terminal", "environ", "expected"),
    [
        ("auto", True, {}, colour_line),
        ("auto", False, {}, json_line),
        ("json", True, {}, json_line),
        ("text", False, {}, text_line),
        ("text", True, {}, colour_line),
        ("auto", True, {"NO_COLOR": "1"}, text_line),
        ("auto", True, {"TERM": "dumb"}, text_line),
    ],
)
def test_the_form_follows_the_setting_and_the_terminal(
    format_: str, is_terminal: bool, environ: dict[str, str], expected: object
) -> None:
    assert logsink.choose_render(format_, is_terminal, environ) is expected


def test_a_logger_works_before_the_log_is_configured_and_follows_it_afterwards(read: Read) -> None:
    logger = log.get("worker")
    logger.info("a.early", note="hunter22")
    configure(secrets=("hunter22",))
    logger.info("b.late", note="hunter22")
    assert [(line["event"], line["note"]) for line in read()] == [("a.early", "hunter22"), ("b.late", MASK)]


def test_a_logger_in_use_never_keeps_an_older_redactor(read: Read) -> None:
    configure()
    logger = log.get("worker").bind(task_id="t1")
    logger.info("a.first")
    configure(secrets=("hunter22",))
    logger.info("b.second", note="hunter22")
    assert [line.get("note") for line in read()] == [None, MASK]


def test_secrets_are_masked_in_every_part_of_a_line(read: Read) -> None:
    configure(secrets=("hunter22",))
    log.get("worker").info(
        "a.hunter22", text="x hunter22", deep={"hunter22": ["hunter22"]}, password="p", error=ValueError("hunter22")
    )
    (line,) = read()
    assert "hunter22" not in json.dumps(line)
    assert line["password"] == MASK
    assert line["text"] == f"x {MASK}"


def test_an_exception_is_one_line_with_its_masked_trace(read: Read) -> None:
    configure(secrets=("hunter22",))
    try:
        raise ValueError("wrong: hunter22")
    except ValueError as error:
        log.get("worker").exception("job.failed", code="ERR-RUN-001")
        log.get("worker").error("job.failed", code="ERR-RUN-001", exc_info=error)
    for line in read():
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith(f"ValueError: wrong: {MASK}")


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL, 35])
def test_libraries_speak_through_the_same_log(read: Read, level: int) -> None:
    configure(secrets=("hunter22",))
    logging.getLogger("some.library").log(level, "value %s", "hunter22")
    (line,) = read()
    assert (line["event"], line["logger"], line["message"]) == ("library.spoke", "some.library", f"value {MASK}")
    assert line.get("code") == ("ERR-HST-004" if level >= logging.ERROR else None)
    assert line["room"] == "worker"


def test_libraries_are_not_heard_below_warning_unless_the_level_is_debug(read: Read) -> None:
    configure(level="INFO")
    logging.getLogger("some.library").info("chatter")
    configure(level="DEBUG")
    logging.getLogger("some.library").info("detail")
    assert [line["message"] for line in read()] == ["detail"]


def test_a_library_that_formats_wrongly_is_still_heard(read: Read) -> None:
    configure()
    logging.getLogger("some.library").warning("%d apples", "no")
    assert read()[0]["message"] == "%d apples"


def test_warnings_are_lines(read: Read) -> None:
    configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("old feature", DeprecationWarning, "file.py", 3)
    (line,) = read()
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "old feature" in line["message"]


def test_what_nobody_caught_is_a_line_also_from_a_thread(read: Read) -> None:
    configure(secrets=("hunter22",))

    def fail() -> None:
        raise RuntimeError("hunter22")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    lines = read()
    assert [(line["event"], line["code"], line["error"]) for line in lines] == [
        ("process.failed", "ERR-HST-003", MASK)
    ] * 2
    assert all(line["exception"].endswith(f"RuntimeError: {MASK}") for line in lines)


# lines


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"pid": 7, "task_id": "t-1"}, " pid=7 task_id=t-1"),
        ({"a": "two words", "b": ""}, ' a="two words" b=""'),
        ({"a": 'quote"', "b": "x=y"}, r' a="quote\"" b="x=y"'),
        ({"a": None, "b": True, "c": [1, {"d": "e"}]}, ' a=null b=true c=[1,{"d":"e"}]'),
        ({"a": "line\nbreak\ttab"}, r' a="line\nbreak\ttab"'),
        ({"a": "\x1b[2J\x9b\u202e\x7f"}, r' a="\u001b[2J\x9b\u202e\x7f"'),
        ({"a\nb": 1}, r" a\nb=1"),
        ({"exception": "Traceback:\n  x\x1b"}, "\n    Traceback:\n      x\\x1b"),
        ({"code": "ERR-RUN-001"}, " code=ERR-RUN-001"),
    ],
)
def test_text_cannot_be_mistaken_for_another_line_or_move_the_cursor(more: dict[str, object], expected: str) -> None:
    assert text_line(HEAD | more) == f"2025-01-02T03:04:05.678Z INFO     worker     job.finished{expected}"


def test_colour_changes_nothing_but_colour() -> None:
    event = HEAD | {"pid": 7}
    painted = colour_line(event)
    for sign in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m"):
        assert sign in painted
        painted = painted.replace(sign, "")
    assert painted == text_line(event)


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=500), max_size=9), st.sampled_from([json_line, text_line]))
def test_a_line_never_exceeds_its_bound_and_is_never_torn(more: dict[str, str], render: Callable[[Any], str]) -> None:
    line = fit(HEAD | more, render, 1024)
    assert len(line) <= 1024
    assert line.endswith(b"\n")
    if render is json_line:
        assert isinstance(json.loads(line), dict)


def test_a_long_value_loses_its_middle_and_says_so() -> None:
    line = json.loads(fit(HEAD | {"text": "a" * 9000 + "b" * 9000, "n": 1}, json_line, 4096))
    assert line["text"].startswith("aaa") and line["text"].endswith("bbb")
    assert "characters cut" in line["text"]
    assert line["n"] == 1


def test_a_line_with_too_many_values_keeps_what_every_line_has() -> None:
    line = json.loads(fit(HEAD | {f"key{n}": n for n in range(2000)}, json_line, 4096))
    assert line.pop("cut_bytes") > 4096
    assert line == HEAD


def test_a_lone_surrogate_is_written_as_an_escape() -> None:
    assert json.loads(fit(HEAD | {"a": "\udc80"}, json_line, 4096))["a"] == "\udc80"


def test_lines_are_as_long_as_the_sink_keeps_whole(tmp_path: Any) -> None:
    end, start = os.pipe()
    with open(tmp_path / "log", "wb") as file:
        assert logsink.line_limit_bytes(file.fileno()) == logsink.LINE_MAX_BYTES
    assert logsink.line_limit_bytes(start) == 4096
    os.close(end)
    os.close(start)
    assert logsink.line_limit_bytes(start) == logsink.LINE_MAX_BYTES


# cost


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["plainlog", "logline", "redact", "codes", "errors", "job", "policy", "state", "link"]
)
def test_a_light_module_brings_no_heavy_library(module: str) -> None:
    heavy = {"pydantic", "yaml", "structlog", "rich", "requests", "asyncio"}
    assert not heavy & modules_after(f"import job_item.{module}")


def test_a_logger_brings_structlog_but_not_rich() -> None:
    modules = modules_after("from job_item import log; log.get('worker')")
    assert "structlog" in modules
    assert not {"rich", "pygments", "pydantic", "yaml"} & modules


@pytest.mark.parametrize(
    "code",
    ["import rich; from job_item import log; log.get('a')", "from job_item import log; log.get('a'); import rich"],
)
def test_rich_is_there_for_others_before_and_after(code: str) -> None:
    assert "rich" in modules_after(code)


def test_a_later_set_up_holds_for_loggers_in_use(read: Read) -> None:
    configure(level="INFO")
    logger, bound = log.get("worker"), log.get("worker").bind(task_id="T1")
    logger.info("one.told")
    bound.debug("one.hidden")
    configure(("s3cret-value",), level="DEBUG")
    logger.debug("two.told", word="s3cret-value")
    bound.debug("two.told")
    configure(level="ERROR")
    for each in (logger, bound, log.get("worker")):
        each.warning("three.hidden")
        each.error("three.told")
    lines = read()
    assert [line["event"] for line in lines] == ["one.told", "two.told", "two.told", *["three.told"] * 3]
    assert lines[1]["word"] == MASK


def test_the_level_of_this_log_changes_no_other_user_of_its_library(read: Read) -> None:
    configure(level="INFO")
    foreign = structlog.make_filtering_bound_logger(logging.INFO)
    writes = foreign.info
    configure(level="ERROR")
    assert foreign.info is writes
    assert read() == []
