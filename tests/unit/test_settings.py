"""What a valid setting is: kinds of values, bounds, and what the models promise to the rest of the node."""

from __future__ import annotations

import json
import os
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from job_item.findings import findings
from job_item.nodespec import Api
from job_item.quantity import Unfit, seconds, shown, size_bytes
from job_item.settings import Settings

JOB = {"event": "hello", "cmd": "echo hi"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (30, 30.0),
        (0.5, 0.5),
        ("30", 30.0),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1h30m", 5400.0),
        (" 1 h 30 m ", 5400.0),
        (".5s", 0.5),
        ("-1", -1.0),
    ],
)
def test_a_duration_is_read(text: object, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "fast", "5 parsecs", "1:30", "5M", "-1h", "h", "1h x", "inf", "nan", True, None, [], {}]
)
def test_what_is_no_duration_is_refused_in_plain_words(text: object) -> None:
    with pytest.raises(Unfit, match="wants a duration such as") as refused:
        seconds(text)
    assert refused.value.code == "ERR-CFG-010"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (65536, 65536),
        ("65536", 65536),
        ("64 MiB", 64 << 20),
        ("64mib", 64 << 20),
        ("1 GiB", 1 << 30),
        ("1.5 GiB", 3 << 29),
        ("10 MB", 10_000_000),
        ("3kB", 3000),
        ("7 B", 7),
        ("2 TiB", 2 << 40),
        (1e3, 1000),
    ],
)
def test_a_size_is_read(text: object, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "big", "64M", "5 floppies", "1.5", "1.5 B", "inf", "-", True, None, [], "1 MiB 2"]
)
def test_what_is_no_size_is_refused_in_plain_words(text: object) -> None:
    with pytest.raises(Unfit, match="wants a size such as") as refused:
        size_bytes(text)
    assert refused.value.code == "ERR-CFG-011"


@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    for read in (seconds, size_bytes):
        try:
            assert isinstance(read(text), (int, float))
        except Unfit as refused:
            assert refused.code.startswith("ERR-CFG-")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nothing"),
        (True, "true"),
        (3, "3"),
        (2.0, "2"),
        ("12", "12"),
        ("x", "'x'"),
        ({}, "a mapping"),
        ([], "a list"),
    ],
)
def test_a_value_is_shown_by_its_text_or_kind(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_long_text_is_shown_short() -> None:
    assert len(shown("x" * 1000)) == 62


def test_no_settings_at_all_are_valid() -> None:
    settings = Settings()
    assert settings.jobs == ()
    assert settings.project == "local"
    assert settings.api.port == 8080
    assert settings.limits.concurrency >= 2
    assert settings.drain_grace == 30


@pytest.mark.parametrize(
    ("given_settings", "path"),
    [
        ({"sync": "maybe"}, ("sync",)),
        ({"api": {"port": 65536}}, ("api", "port")),
        ({"api": {"host": ""}}, ("api", "host")),
        ({"limits": {"concurrency": 0}}, ("limits", "concurrency")),
        ({"limits": {"queue": "many"}}, ("limits", "queue")),
        ({"restart": {"window": 0}}, ("restart", "window")),
        ({"heartbeat": {"interval": 9, "timeout": 9}}, ("heartbeat",)),
        ({"log": {"level": "loud"}}, ("log", "level")),
        ({"keep": {"days": "inf"}}, ("keep", "days")),
        ({"drain_grace": -1}, ("drain_grace",)),
        ({"identity_id": "a b"}, ("identity_id",)),
        ({"identity_id": "-a"}, ("identity_id",)),
        ({"jobs": [{"event": "a"}]}, ("jobs", 0, "cmd")),
        ({"jobs": [JOB | {"cmd": ""}]}, ("jobs", 0, "cmd")),
        ({"jobs": [JOB | {"cmd": []}]}, ("jobs", 0, "cmd")),
        ({"jobs": [JOB | {"cmd": [""]}]}, ("jobs", 0, "cmd")),
        ({"jobs": [JOB | {"cmd": ["echo", None]}]}, ("jobs", 0, "cmd")),
        ({"jobs": [JOB | {"event": "a b"}]}, ("jobs", 0, "event")),
        ({"jobs": [JOB | {"event": "a.*"}]}, ("jobs", 0, "event")),
        ({"jobs": [JOB | {"event": "a.>"}]}, ("jobs", 0, "event")),
        ({"jobs": [JOB | {"event": ".a"}]}, ("jobs", 0, "event")),
        ({"jobs": [JOB | {"event": "x" * 129}]}, ("jobs", 0, "event")),
        ({"jobs": [JOB | {"timeout": 0}]}, ("jobs", 0, "timeout")),
        ({"jobs": [JOB | {"retries": {"attempts": 0}}]}, ("jobs", 0, "retries", "attempts")),
        ({"jobs": [JOB | {"on_lost": "ignore"}]}, ("jobs", 0, "on_lost")),
        ({"jobs": [JOB | {"status": "exit"}]}, ("jobs", 0, "status")),
        ({"jobs": [JOB | {"render": "raw"}]}, ("jobs", 0, "render")),
        ({"jobs": [JOB | {"shell": "bash -e"}]}, ("jobs", 0, "shell")),
        ({"jobs": [JOB | {"output_limit": -1}]}, ("jobs", 0, "output_limit")),
        ({"jobs": [JOB | {"resources": {"nice": 20}}]}, ("jobs", 0, "resources", "nice")),
        ({"jobs": [JOB | {"resources": {"memory": 0}}]}, ("jobs", 0, "resources", "memory")),
        ({"jobs": [JOB | {"env": {"A": [1]}}]}, ("jobs", 0, "env", "A")),
        ({"jobs": [JOB | {"env": {"A": "x\0"}}]}, ("jobs", 0, "env", "A")),
        ({"jobs": [JOB | {"env": {"A=B": "x"}}]}, ("jobs", 0, "env", "A=B", "[key]")),
        ({"execs": [{"key": "a"}]}, ("execs", 0, "cmd")),
        ({"execs": [{"cmd": "x"}]}, ("execs", 0, "key")),
        ({"jobz": []}, ("jobz",)),
    ],
)
def test_what_is_not_valid_is_refused_at_its_place(given_settings: dict[str, Any], path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(given_settings)
    assert [detail["loc"] for detail in refused.value.errors()] == [path]


@pytest.mark.parametrize("event", ["hello", "parent.child", "a-b_c", "grüße", "a/b", "restart2"])
def test_an_event_may_have_dots_between_words(event: str) -> None:
    assert Settings.model_validate({"jobs": [JOB | {"event": event}]}).jobs[0].event == event


def test_a_command_is_text_or_words() -> None:
    jobs = [JOB, {"event": "b", "cmd": ["echo", "", "{{x}}"]}]
    assert [job.cmd for job in Settings.model_validate({"jobs": jobs}).jobs] == ["echo hi", ("echo", "", "{{x}}")]


def test_a_key_without_a_value_is_absent() -> None:
    settings = Settings.model_validate({"jobs": None, "api": {"port": None}, "identity_id": None})
    assert settings == Settings()
    assert not settings.api.port_was_set


def test_an_environment_variable_without_a_value_is_empty() -> None:
    assert Settings.model_validate({"jobs": [JOB | {"env": {"A": None}}]}).jobs[0].env == {"A": ""}


@pytest.mark.parametrize(
    ("level", "expected"), [("warn", "WARNING"), ("WARN", "WARNING"), ("debug", "DEBUG"), ("Error", "ERROR")]
)
def test_a_log_level_may_be_written_in_any_case(level: str, expected: str) -> None:
    assert Settings.model_validate({"log": {"level": level}}).log.level == expected


@pytest.mark.parametrize(("attempt", "expected"), [(-1, 3), (0, 3), (1, 1), (7, 7)])
def test_an_exec_without_a_sensible_attempt_gets_three(attempt: int, expected: int) -> None:
    entry = {"key": "a", "cmd": "true", "attempt": attempt}
    assert Settings.model_validate({"execs": [entry]}).execs[0].attempt == expected


def test_the_name_of_an_exec_is_its_key_where_it_has_none() -> None:
    assert Settings.model_validate({"execs": [{"name": "tunnel", "cmd": "true"}]}).execs[0].key == "tunnel"


def test_the_keys_of_the_managers_answer_and_pub_type_are_accepted() -> None:
    settings = Settings.model_validate(
        {
            "uuid": "P",
            "project": {"name": "x", "job_datas": []},
            "job_item_version_number": 3,
            "job_item_version": "v0.1.1",
            "job_item_link": "http://host/binary",
            "jobs": [JOB | {"pub_type": "anything"}],
        }
    )
    assert settings.project == "local"
    assert "pub_type" not in settings.model_dump()["jobs"][0]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("node.example", False),
    ],
)
def test_loopback_is_recognised(host: str, expected: bool) -> None:
    assert Api(host=host).is_loopback is expected


def test_settings_survive_the_way_to_a_child() -> None:
    settings = Settings.model_validate(
        {"api": {"port": "8080", "token": "tok-12345"}, "jobs": [JOB], "credential": {"secret_key": "hunter22"}}
    )
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert copy.api.port_was_set
    assert copy.credential.secret_key.get_secret_value() == "hunter22"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().sync = "full"


def test_secrets_are_all_found_and_never_shown() -> None:
    settings = Settings.model_validate(
        {
            "credential": {"secret_key": "secret-1"},
            "api": {"token": "secret-2"},
            "jobs": [JOB | {"env": {"DB_PASSWORD": "secret-3", "COLOUR": "red"}}],
            "execs": [{"key": "e", "cmd": "true", "env": {"API_KEY": "secret-4"}}],
            "broker_connection": {
                "type": "nats",
                "user": "u",
                "password": "secret-5",
                "token": "secret-6",
                "auth_type": "none",
                "host": "h",
            },
        }
    )
    assert set(settings.secrets()) == {f"secret-{number}" for number in range(1, 7)}
    assert "secret-1" not in repr(settings)
    assert Settings(api=Api(token=SecretStr("x"))).secrets() == ("x",)


@pytest.mark.parametrize("sign", ["\0", "\ud800", "\udfff"])
@pytest.mark.parametrize(
    ("section", "entry"),
    [
        ("jobs", {"event": "e", "cmd": "echo {}"}),
        ("jobs", {"event": "e", "cmd": ["echo", "{}"]}),
        ("jobs", {"event": "e", "cmd": "echo", "env": {"A": "{}"}}),
        ("jobs", {"event": "e{}", "cmd": "echo"}),
        ("jobs", {"event": "e", "cmd": "echo", "name": "n{}"}),
        ("execs", {"key": "k", "cmd": "echo {}"}),
        ("execs", {"key": "k{}", "cmd": "echo"}),
        ("execs", {"key": "k", "cmd": "echo", "env": {"A": "{}"}}),
    ],
)
def test_what_cannot_be_handed_to_a_program_is_refused(section: str, entry: Any, sign: str) -> None:
    fitting = json.loads(json.dumps(entry).replace("{}", "é😀"))
    Settings.model_validate({section: [fitting]})
    unfit = json.loads(json.dumps(entry).replace("{}", json.dumps(sign)[1:-1]))
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({section: [unfit]})
    (finding,) = findings(refused.value)
    assert finding.code == "ERR-CFG-007"
    assert finding.message.startswith(f"{'a NUL' if sign == chr(0) else f'U+{ord(sign):04X}'} cannot be in it")


def test_a_directory_whose_name_is_not_utf_8_can_be_named() -> None:
    settings = Settings.model_validate({"jobs": [{**JOB, "working_dir": "/caf\udce9", "shell": "/caf\udce9/bash"}]})
    assert os.fsencode(settings.jobs[0].working_dir or "") == b"/caf\xe9"


@pytest.mark.parametrize(
    "job",
    [
        {"event": "a", "cmd": "true", "handler": "TEST"},
        {"event": "a", "handler": "TEST", "shell": "sh"},
        {"event": "a", "handler": "TEST", "render": "safe"},
    ],
)
def test_a_job_has_either_a_command_or_a_handler(job: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"jobs": [job]})
    assert [finding.code for finding in findings(raised.value)] == ["ERR-HND-006"]


@pytest.mark.parametrize("name", ["TEST", "a.b", "module:function", "package.module:Class.method"])
def test_a_handler_is_named_by_its_type_or_by_its_place(name: str) -> None:
    assert Settings.model_validate({"jobs": [{"event": "a", "handler": name}]}).jobs[0].handler == name


@pytest.mark.parametrize("name", ["a:", ":b", "a b", "file.py:f", "a:b:c", "a/b:c"])
def test_a_handler_of_no_such_form_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"jobs": [{"event": "a", "handler": name}]})


@pytest.mark.parametrize(
    ("given", "taken"),
    [("a.py, b.c ,", ("a.py", "b.c")), (["a.py"], ("a.py",)), ("", ()), ("deep/er.py", ("deep/er.py",))],
)
def test_handlers_are_a_list_or_a_text_with_commas(given: object, taken: tuple[str, ...]) -> None:
    assert Settings.model_validate({"handlers": given}).handlers == taken
