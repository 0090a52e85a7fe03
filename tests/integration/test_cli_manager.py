"""The command line of a node with a Job Manager: what it asks, what it shows, what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from job_item.manager.supplier import Source, Wish, keep, load_managed
from tests.conftest import free_port
from tests.manager import standin as faults
from tests.manager.standin import StandIn, registered, standing_in
from tests.terminal import Shell

PASSWORD = "pass-of-the-broker"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def manager(shell: Shell) -> Iterator[StandIn]:
    broker = {"type": "redis", "host": "127.0.0.1", "port": free_port(), "db": 0, "password": PASSWORD}
    known = {"name": "Renderers", "job_datas": [registered("hello", 2, 60)]}
    with standing_in({"uuid": "U", "broker_connection": broker, "project": known}) as made:
        jobs = [{"event": event, "cmd": "true"} for event in ("hello", "other")]
        write(shell, made, jobs=jobs)
        yield made


def write(shell: Shell, manager: StandIn, **more: Any) -> None:
    shell.config.write_text(yaml.safe_dump(manager.settings(**more)))
    shell.config.chmod(0o600)


def settle(shell: Shell) -> None:
    """As if a node had run here."""
    state = shell.folder / ".job_item"
    state.mkdir(mode=0o700)
    assert keep(load_managed(Source(shell.config, {}), Wish())) is None


def test_check_asks_nobody_unless_it_is_told_to(shell: Shell, manager: StandIn) -> None:
    ended = shell.run("check")
    assert (ended.code, manager.asked()) == (0, 0)


def test_check_connect_asks_the_manager_and_tries_its_broker_and_keeps_nothing(shell: Shell, manager: StandIn) -> None:
    ended = shell.run("check", "--connect")
    assert ended.code == 78
    assert "ERR-SUP-057" in ended.err and "broker_connection" in ended.err
    assert "ERR-MGR-007" in ended.err and "'other'" in ended.err
    assert manager.asked() == 1
    assert not (shell.folder / ".job_item").exists()
    for text in (ended.out.decode(), ended.err):
        assert PASSWORD not in text and manager.secret not in text


def test_check_connect_says_what_the_manager_answers(shell: Shell, manager: StandIn) -> None:
    manager.content["broker_connection"]["port"] = manager.port  # somebody listens there
    ended = shell.run("check", "--connect")
    assert ended.code == 0
    assert b"for project 'Renderers': broker redis, 1 of 2 jobs registered" in ended.out


@pytest.mark.parametrize(
    ("fault", "code"), [(faults.status(401), "ERR-MGR-002"), (faults.garbage(b"no"), "ERR-MGR-003")]
)
def test_check_connect_says_what_is_wrong(shell: Shell, manager: StandIn, fault: faults.Fault, code: str) -> None:
    manager.fault = fault
    ended = shell.run("check", "--connect")
    assert ended.code == 78
    assert code in ended.err and "end_point" in ended.err


def test_config_show_has_the_last_answer_as_a_layer_of_its_own(shell: Shell, manager: StandIn) -> None:
    before = shell.run("config", "show").json
    assert before["manager"] is None and before["settings"]["broker_connection"] is None
    settle(shell)
    shown = shell.run("config", "show").json
    assert shown["manager"]["url"] == manager.url
    assert shown["manager"]["events"] == {"hello": {"limit": 2, "timeout_s": 60.0}}
    assert shown["layers"]["broker_connection.host"].startswith("Job Manager, 20")
    assert shown["layers"]["uuid"].startswith("Job Manager, 20")
    assert shown["layers"]["credential.project_id"].startswith("config.yaml:")
    assert shown["settings"]["broker_connection"]["password"] == "[redacted]"
    assert manager.asked() == 1


def test_doctor_looks_at_the_broker_of_the_last_answer(shell: Shell, manager: StandIn) -> None:
    settle(shell)
    ended = shell.run("doctor")
    servers = {
        line["said"].split(":")[0]: line["verdict"] for line in ended.json["checks"] if line["check"] == "servers"
    }
    assert servers == {"broker_connection": "fail", "end_point": "ok"}
    assert manager.asked() == 1
