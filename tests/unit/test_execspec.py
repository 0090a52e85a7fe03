"""What an exec may be in the settings: policy, signals, probes, dependencies, each fault at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from job_item.errors import Fault, SettingsError
from job_item.execspec import Exec
from job_item.load import load
from job_item.settings import Settings

BASE = {"key": "one", "cmd": "true"}


def faults_of(folder: Path, text: str) -> tuple[Fault, ...]:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(folder / "config.yaml", {})
    return caught.value.faults


def test_the_defaults_are_those_of_the_reference() -> None:
    spec = Exec.model_validate(BASE)
    assert (spec.restart, spec.attempt, spec.cascade_exit) == ("on-failure", 3, False)
    assert (spec.backoff, spec.backoff_max, spec.stable) == (1.0, 60.0, 10.0)
    assert (spec.stop_signal, spec.stop_number, spec.stop_grace) == ("TERM", 15, 5.0)
    assert (spec.log.max_bytes, spec.log.keep) == (16 << 20, 1)


@pytest.mark.parametrize(
    ("given", "name", "number"),
    [
        ("TERM", "TERM", 15),
        ("sigint", "INT", 2),
        ("3", "QUIT", 3),
        (10, "USR1", 10),
        ("36", "36", 36),
        (" hup", "HUP", 1),
    ],
)
def test_a_stop_signal_is_a_name_or_a_number(given: object, name: str, number: int) -> None:
    spec = Exec.model_validate({**BASE, "stop_signal": given})
    assert (spec.stop_signal, spec.stop_number) == (name, number)


def test_a_list_of_dependencies_means_ready() -> None:
    spec = Exec.model_validate({**BASE, "depends_on": ["a", "b"]})
    assert spec.depends_on == {"a": "ready", "b": "ready"}
    spec = Exec.model_validate({**BASE, "depends_on": {"a": "completed", "b": None}})
    assert spec.depends_on == {"a": "completed", "b": "ready"}


def test_what_is_run_is_told_apart_from_policy() -> None:
    one = Exec.model_validate(BASE)
    policy: dict[str, Any] = {
        "name": "n",
        "restart": "always",
        "attempt": 9,
        "stop_signal": "INT",
        "stop_grace": 1,
        "log": {"keep": 2},
        "depends_on": ["x"],
        "ready": {"tcp": 1},
        "health": {"cmd": "true"},
        "cascade_exit": True,
    }
    for name, value in policy.items():
        assert Exec.model_validate({**BASE, name: value}).run_part() == one.run_part()
    run: dict[str, Any] = {"cmd": "false", "working_dir": "/", "env": {"A": "b"}, "resources": {"nice": 1}}
    for name, value in run.items():
        assert Exec.model_validate({**BASE, name: value}).run_part() != one.run_part()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("stop_signal: TREM", "ERR-CFG-007", "did you mean TERM?"),
        ("stop_signal: 99", "ERR-CFG-007", "wants the name or number of a signal"),
        ("stop_signal: STOP", "ERR-CFG-007", "ends nothing"),
        ("restart: on_failure", "ERR-CFG-007", "did you mean 'on-failure'?"),
        ("ready: {}", "ERR-CFG-035", "none of them"),
        ("ready: {tcp: 80, cmd: x}", "ERR-CFG-035", "here is cmd and tcp"),
        ("ready: {log: '(' }", "ERR-CFG-034", "cannot be read as a regular expression"),
        ("health: {log: up}", "ERR-CFG-004", "unknown key"),
        ("health: {tcp: none:x}", "ERR-CFG-007", "wants a port"),
        ("health: {tcp: 70000}", "ERR-CFG-007", "wants a port"),
        ("health: {http: localhost/x}", "ERR-CFG-007", "wants an address"),
        ("health: {http: 'http://u:p@h/'}", "ERR-CFG-007", "cannot be an address with"),
        ("health: {cmd: x, interval: 0}", "ERR-CFG-007", "at least 0.05"),
        ("log: {max_bytes: 10}", "ERR-CFG-007", "at least 1024"),
        ("depends_on: db", "ERR-CFG-005", "wants a list of keys"),
        ("depends_on: {b: up}", "ERR-CFG-007", "must be"),
    ],
)
def test_a_fault_is_told_at_its_place(line: str, code: str, words: str, tmp_path: Path) -> None:
    (fault, *_) = faults_of(tmp_path, f"execs:\n  - key: a\n    cmd: x\n    {line}\n")
    assert (fault.code, fault.line) == (code, 4)
    assert words in fault.message


@pytest.mark.parametrize(
    ("others", "line", "code", "words"),
    [
        ("{key: db, cmd: x}", "[dbs]", "ERR-CFG-031", "there is no exec 'dbs'; did you mean 'db'?"),
        ("{key: db, cmd: x}", "[a]", "ERR-CFG-032", "'a' depends on itself"),
        ("{key: db, cmd: x, depends_on: [a]}", "[db]", "ERR-CFG-032", "a -> db -> a"),
        ("{key: db, cmd: x, restart: always}", "{db: completed}", "ERR-CFG-033", "never completes"),
        ("{key: db, cmd: x}", "{db: healthy}", "ERR-CFG-033", "has no `health` probe"),
    ],
)
def test_a_dependency_that_cannot_be_is_refused(others: str, line: str, code: str, words: str, tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, f"execs:\n  - key: a\n    cmd: x\n    depends_on: {line}\n  - {others}\n")
    assert (fault.code, fault.line) == (code, 4)
    assert fault.path is not None and fault.path.startswith("execs[0].depends_on")
    assert words in fault.message


def test_many_circles_are_all_told_and_what_leads_to_one_is_not_in_it(tmp_path: Path) -> None:
    needs = {"in": "a", "a": "b", "b": "a, c", "c": "d", "d": "c"}
    execs = [f"{{key: {key}, cmd: x, depends_on: [{others}]}}" for key, others in needs.items()]
    found = faults_of(tmp_path, "execs:\n" + "".join(f"  - {entry}\n" for entry in execs))
    assert [fault.message for fault in found] == ["depends on itself: a -> b -> a", "depends on itself: c -> d -> c"]


def test_a_probe_command_is_left_alone_and_its_other_texts_take_variables(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("P=8080\n")
    (tmp_path / "config.yaml").write_text(
        "execs:\n  - {key: a, cmd: x, ready: {cmd: '${P}'}, health: {tcp: '${P}'}, env: {cmd: '${P}'}}\n"
    )
    (spec,) = load(tmp_path / "config.yaml", {}).settings.execs
    assert spec.ready is not None and spec.health is not None
    assert (spec.ready.cmd, spec.health.tcp, spec.env) == ("${P}", "8080", {"cmd": "8080"})


def test_diamonds_are_no_circles(tmp_path: Path) -> None:
    needs = {"a": "b, c", "b": "d", "c": "d", "d": ""}
    text = "execs:\n" + "".join(f"  - {{key: {key}, cmd: x, depends_on: [{low}]}}\n" for key, low in needs.items())
    (tmp_path / "config.yaml").write_text(text)
    assert isinstance(load(tmp_path / "config.yaml", {}).settings, Settings)
