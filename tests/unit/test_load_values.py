"""Where values of the settings come from: variables, `.env`, the environment, files; which folders they name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from job_item.load import load, redacted
from tests.loading import faults_of, load_text, write

# variables


def test_a_text_that_is_a_variable_as_a_whole_is_replaced_everywhere_but_in_commands(folder: Path) -> None:
    text = """\
credential: {project_id: "${P}", secret_key: "${S}"}
api: {port: "${PORT}"}
pass_env: ["${G}"]
jobs:
  - {event: "${E}", cmd: "${P}", working_dir: "${D}", env: {A: "${P}", B: "x${P}", C: "${EMPTY}", D: "$P"}}
  - {event: words, cmd: ["${P}", "${NOT_SET}"]}
execs:
  - {key: "${E}", cmd: "${P}", env: {A: "${P}"}}
"""
    environ = {"P": "p1", "S": "s3cret", "PORT": "9999", "G": "LC_*", "E": "event", "D": "sub", "EMPTY": ""}
    settings = load_text(folder, text, environ).settings
    assert settings.credential.project_id == "p1"
    assert settings.credential.secret_key.get_secret_value() == "s3cret"
    assert settings.api.port == 9999
    assert settings.pass_env == ("LC_*",)
    assert settings.jobs[0].event == "event"
    assert settings.jobs[0].env == {"A": "p1", "B": "x${P}", "C": "", "D": "$P"}
    assert settings.jobs[0].working_dir == str(folder / "sub")
    assert [job.cmd for job in settings.jobs] == ["${P}", ("${P}", "${NOT_SET}")]
    assert (settings.execs[0].key, settings.execs[0].cmd, settings.execs[0].env) == ("event", "${P}", {"A": "p1"})


def test_an_unset_variable_is_one_fault_that_names_it(folder: Path) -> None:
    (fault,) = faults_of(folder, 'jobs:\n  - cmd: x\n    event: "${NOPE}"\n')
    assert (fault.code, fault.line, fault.path) == ("ERR-CFG-008", 3, "jobs[0].event")
    assert "NOPE" in fault.message


def test_dotenv_gives_variables_but_does_not_override_the_environment(folder: Path) -> None:
    write(folder, "A=from file\nB=from file\nLOG_LEVEL=debug\n", ".env")
    text = 'credential: {project_id: "${A}"}\nidentity_id: "${B}"\n'
    loaded = load_text(folder, text, {"B": "environment", "C": "c"})
    assert loaded.settings.credential.project_id == "from file"
    assert loaded.settings.identity_id == "environment"
    assert loaded.settings.log.level == "DEBUG"
    assert loaded.dotenv == {"A": "from file", "B": "environment", "LOG_LEVEL": "debug"}
    assert loaded.layers["credential.project_id"] == "config.yaml:1, .env A"
    assert loaded.layers["log.level"] == ".env LOG_LEVEL"


def test_a_line_of_dotenv_that_cannot_be_read_is_a_fault(folder: Path) -> None:
    write(folder, "A=1\nnonsense\nB='unclosed\nC=2\n", ".env")
    faults = faults_of(folder, "")
    assert [(fault.code, fault.file, fault.line) for fault in faults] == [
        ("ERR-CFG-009", str(folder / ".env"), 2),
        ("ERR-CFG-009", str(folder / ".env"), 3),
    ]


@pytest.mark.parametrize(
    ("environ", "configured", "expected", "layer"),
    [
        ({}, "", None, "default"),
        ({"JOB_ITEM_IDENTITY_ID": "low"}, "", "low", "environment JOB_ITEM_IDENTITY_ID"),
        ({"JOB_ITEM_IDENTITY_ID": "low"}, "identity_id: mid", "mid", "config.yaml:1"),
        ({"JOB_ITEM_IDENTITY_ID": "low", "WORKER_ID": "high"}, "identity_id: mid", "high", "environment WORKER_ID"),
        ({"WORKER_ID": ""}, "identity_id: mid", "mid", "config.yaml:1"),
        ({"JOB_ITEM_IDENTITY_ID": "low"}, "identity_id:", "low", "environment JOB_ITEM_IDENTITY_ID"),
    ],
)
def test_the_identity_comes_from_the_highest_layer_that_has_one(
    folder: Path, environ: dict[str, str], configured: str, expected: str | None, layer: str
) -> None:
    loaded = load_text(folder, configured, environ)
    assert loaded.settings.identity_id == expected
    assert loaded.layers["identity_id"] == layer


def test_a_fault_in_the_environment_names_the_variable(folder: Path) -> None:
    faults = faults_of(folder, "log: {level: info}\n", {"LOG_LEVEL": "loud", "WORKER_ID": "a b"})
    assert [(fault.file, fault.line, fault.path) for fault in faults] == [
        ("environment LOG_LEVEL", None, "log.level"),
        ("environment WORKER_ID", None, "identity_id"),
    ]


# secrets


def test_secrets_are_read_from_their_files(folder: Path) -> None:
    write(folder, "hunter22\n", "key")
    write(folder, "tok en ", "token")
    loaded = load_text(folder, "credential: {secret_key_file: key}\napi: {token_file: ./token}\n")
    assert loaded.settings.credential.secret_key.get_secret_value() == "hunter22"
    assert loaded.settings.api.token is not None
    assert loaded.settings.api.token.get_secret_value() == "tok en"
    assert loaded.layers["credential.secret_key"] == f"file {folder / 'key'}"
    assert set(loaded.secrets) == {"hunter22", "tok en"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff", "utf-8"),
        (b"x" * 99999, "too long"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_a_fault(folder: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (folder / "key").write_bytes(content)
    (fault,) = faults_of(folder, "credential:\n  secret_key_file: key\n")
    assert (fault.code, fault.line, fault.path) == ("ERR-CFG-016", 2, "credential.secret_key_file")
    assert words in fault.message


@pytest.mark.parametrize(
    ("text", "file", "mode", "warned"),
    [
        ("credential: {secret_key: hunter22}", "config.yaml", 0o644, True),
        ("credential: {secret_key: hunter22}", "config.yaml", 0o640, False),
        ("api: {token: hunter22}", "config.yaml", 0o604, True),
        ("broker_connection: {type: redis, host: h, password: hunter22}", "config.yaml", 0o644, True),
        ('credential: {secret_key: "${S}"}', "config.yaml", 0o644, False),
        ('credential: {secret_key: "${D}"}', ".env", 0o644, True),
        ('credential: {secret_key: "${D}"}', ".env", 0o600, False),
        ("credential: {secret_key_file: key}", "key", 0o644, True),
        ("credential: {secret_key_file: key}", "config.yaml", 0o644, False),
        ("credential: {project_id: p}", "config.yaml", 0o644, False),
    ],
)
def test_a_file_with_secrets_that_others_may_read_is_warned_about(
    folder: Path, text: str, file: str, mode: int, warned: bool
) -> None:
    write(folder, "D=hunter22\n", ".env")
    write(folder, "hunter22", "key")
    config = write(folder, text)
    (folder / file).chmod(mode)
    warnings = load(config, {"S": "hunter22"}).warnings
    assert [(fault.code, fault.file, fault.warning) for fault in warnings] == (
        [("ERR-CFG-024", str(folder / file), True)] if warned else []
    )


def test_what_is_shown_of_the_settings_has_no_secret_and_a_layer_for_each_value(folder: Path) -> None:
    write(folder, "DOT_TOKEN=dot-secret\n", ".env")
    text = """\
credential: {project_id: p, secret_key: hunter22}
jobs:
  - event: a
    cmd: "curl -H 'X-Key: hunter22' dot-secret"
    env: {DB_PASSWORD: abc, COLOUR: red}
broker_connection: {type: redis, host: h, password: brokerpass, port: 1}
"""
    loaded = load_text(folder, text)
    shown = redacted(loaded)
    assert shown["credential"] == {"project_id": "p", "secret_key": "[redacted]", "secret_key_file": None}
    assert shown["jobs"][0]["cmd"] == "curl -H 'X-Key: [redacted]' [redacted]"
    assert shown["jobs"][0]["env"] == {"DB_PASSWORD": "[redacted]", "COLOUR": "red"}
    assert shown["broker_connection"].items() >= {"host": "h", "password": "[redacted]", "port": 1}.items()
    assert shown["work_dir"] == str(folder)
    assert "project" not in shown
    assert loaded.layers["jobs[0].env.COLOUR"] == "config.yaml:5"
    assert loaded.layers["jobs[0].timeout"] == "default"
    assert loaded.layers["api.port"] == "default"


# folders


@pytest.mark.parametrize(
    ("text", "environ", "expected", "layer"),
    [
        ("", {}, "{folder}/.job_item", "default"),
        ("", {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a", "environment STATE_DIRECTORY"),
        ("state_dir: state", {"STATE_DIRECTORY": "/var/lib/a"}, "{folder}/state", "config.yaml:1"),
        ("state_dir: /x/../y", {}, "/y", "config.yaml:1"),
    ],
)
def test_the_state_folder_is_the_configured_one_the_service_managers_or_beside_the_file(
    folder: Path, text: str, environ: dict[str, str], expected: str, layer: str
) -> None:
    loaded = load_text(folder, text, environ)
    assert str(loaded.state_dir) == expected.format(folder=folder)
    assert loaded.layers["state_dir"] == layer
    assert not loaded.state_dir.exists()


@pytest.mark.parametrize(
    ("environ", "base"), [({"HOME": "/home/u"}, "/home/u/.local/state"), ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s")]
)
def test_where_the_folder_of_the_file_cannot_be_written_the_state_is_kept_with_the_users(
    folder: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], base: str
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root may write everywhere
    state_dir = load_text(folder, "", environ).state_dir
    assert str(state_dir.parent) == f"{base}/job_item"
    assert len(state_dir.name) == 16
    assert load_text(folder, "", environ).state_dir == state_dir


def test_relative_paths_are_relative_to_the_folder_of_the_file(folder: Path) -> None:
    text = """\
work_dir: jobs
jobs:
  - {event: a, cmd: x, working_dir: sub, shell: ./sh}
  - {event: b, cmd: x, working_dir: /abs, shell: dash}
execs: [{key: e, cmd: x, working_dir: ../up}]
"""
    loaded = load_text(folder, text)
    settings = loaded.settings
    assert loaded.work_dir == folder / "jobs"
    assert [job.working_dir for job in settings.jobs] == [str(folder / "sub"), "/abs"]
    assert [job.shell for job in settings.jobs] == [str(folder / "sh"), "dash"]
    assert settings.execs[0].working_dir == str(folder.parent / "up")
