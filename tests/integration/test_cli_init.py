"""`init` and `doctor` as their users have them: on a terminal, in a script, in a folder of their own."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import free_port
from tests.nodes import running
from tests.terminal import Shell

SECRET = "s3cret: \"quoted\" #{{x}} 'and' more"


class Folder(Shell):
    """A shell in a folder without a configuration."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config.unlink()

    @property
    def written(self) -> Any:
        return yaml.safe_load(self.config.read_text())

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.config.stat().st_mode)

    def is_accepted(self) -> bool:
        """Whether `check` has nothing to say against it, not even a warning."""
        ended = self.run("check")
        return (ended.code, ended.err) == (0, "")


def test_without_a_terminal_the_defaults_are_written_and_pass_the_check(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    ended = folder.run("init")
    assert ended.code == 0, ended.err
    assert folder.is_accepted()
    assert folder.written["jobs"] == [{"event": "hello", "cmd": 'echo "Hello, {{name}}."'}]
    assert "# " in folder.config.read_text()
    assert folder.mode == 0o644 & ~umask()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


def umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_a_file_that_is_there_is_never_replaced_without_force(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.config.write_text("jobs: []")
    ended = folder.run("init")
    assert (ended.code, folder.config.read_text()) == (1, "jobs: []")
    assert "ERR-CFG-027" in ended.err
    assert folder.run("init", "--force").code == 0
    assert folder.is_accepted()
    folder.config.unlink()
    folder.config.symlink_to("nowhere")
    assert folder.run("init").code == 1
    assert not (tmp_path / "nowhere").exists()


def test_options_say_everything_and_secrets_stay_in_their_files(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in ("secret", "token"):
        (tmp_path / name).write_text(f"{name}-text\n")
        (tmp_path / name).chmod(0o600)
    words = ["--host", "0.0.0.0", "--port", "0", "--project-id", "P 1", "--event", "go", "--cmd", "printf '%s' {{x}}"]
    ended = folder.run("init", *words, "--secret-file", "secret", "--token-file", "token", "--yes")
    assert ended.code == 0, ended.err
    assert folder.is_accepted()
    assert folder.written == {
        "api": {"host": "0.0.0.0", "port": 0, "token_file": str(tmp_path / "token")},
        "credential": {"project_id": "P 1", "secret_key_file": str(tmp_path / "secret")},
        "jobs": [{"event": "go", "cmd": "printf '%s' {{x}}"}],
    }
    assert "-text" not in folder.config.read_text()


def test_an_api_that_is_open_gets_a_token_and_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.run("init", "--host", "0.0.0.0").code == 0
    assert folder.mode == 0o600
    assert len(folder.written["api"]["token"]) >= 40
    assert folder.is_accepted()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--event", "two words"], "ERR-CFG-013"),
        (["--cmd", "eval {{x}}"], "ERR-RUN-109"),
        (["--secret-file", "missing"], "ERR-CFG-016"),
    ],
)
def test_what_the_node_could_not_run_with_is_not_written(tmp_path: Path, words: list[str], code: str) -> None:
    folder = Folder(tmp_path)
    ended = folder.run("init", *words)
    assert ended.code == 78
    assert code in ended.err
    assert "config.yaml:" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    ended = Folder(tmp_path).run("init", "--config", "missing/config.yaml")
    assert ended.code == 1
    assert "ERR-CFG-001" in ended.err


def test_on_a_terminal_what_no_option_says_is_asked_and_secrets_are_not_shown(tmp_path: Path) -> None:
    folder, port = Folder(tmp_path), free_port()
    with folder.on_terminal("init", "--host", "0.0.0.0") as command:
        for question, answer in (
            ("Port of the API", str(port)),
            ("Token of the API", "a-token-that-nobody-sees"),
            ("Id of the project", "P1"),
            ("Secret of the project", SECRET),
            ("Event of the first job", "go"),
            ("Its command", ""),
        ):
            command.sees(question)
            (command.types_unseen if question.startswith(("Token", "Secret")) else command.types)(answer)
        ended = command.end()
    said = ended.out.decode()
    assert ended.code == 0, said
    assert "a-token" not in said
    assert "s3cret" not in said
    assert "Address of the API" not in said, "an option said it"
    written = folder.written
    assert written["api"] == {"host": "0.0.0.0", "port": port, "token": "a-token-that-nobody-sees"}
    assert written["credential"] == {"project_id": "P1", "secret_key": SECRET}
    assert written["jobs"][0] == {"event": "go", "cmd": 'echo "Hello, {{name}}."'}
    assert folder.mode == 0o600
    assert folder.is_accepted()


def test_ctrl_c_at_a_question_writes_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.on_terminal("init") as command:
        command.sees("Address of the API")
        command.interrupt()
        assert command.end().code != 0
    assert list(tmp_path.iterdir()) == []


def test_a_node_runs_with_what_init_wrote(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.run("init", "--port", "0").code == 0
    with running(tmp_path / "node", folder.written) as node:
        record = node.await_status(node.submit("hello", {"name": "Ada"}))
        assert (record["status"], node.output(record["task_id"])) == ("finish", b"Hello, Ada.\n")


# doctor


def test_doctor_answers_in_json_and_says_what_is_wrong_by_its_exit_code(tmp_path: Path) -> None:
    shell = Shell(tmp_path, f"api: {{port: {free_port()}}}")
    ended = shell.run("doctor", "--json")
    assert ended.code == 0, ended.out
    checks = ended.json["checks"]
    assert ended.json["ok"] is True
    assert {"keepers", "fsync", "disk space", "clock", "settings", "port", "node"} <= {each["check"] for each in checks}
    assert set(checks[0]) == {"check", "verdict", "said", "code", "remedy"}
    shell.config.write_text("jobs: [")
    ended = shell.run("doctor")
    assert ended.code == 1
    assert json.loads(ended.out)["ok"] is False


def test_doctor_shows_a_table_on_a_terminal(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "api: {port: 0}\nbroker_connection: {type: nats, host: 127.0.0.1, port: 1}")
    with shell.on_terminal("doctor") as command:
        ended = command.end()
    said = ended.out.decode()
    assert ended.code == 1
    assert "keepers" in said
    assert "ERR-SUP-057" in said
    assert "-> " in said, "what to do"
    assert "The node cannot work here before what is marked `fail` is mended (1 of " in " ".join(said.split())


def test_doctor_finds_a_running_node_well_and_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": [{"event": "a", "cmd": "true"}]}) as node:
        before = sorted(path.name for path in tmp_path.rglob("*") if not path.name.startswith("journal"))
        ended = Shell(tmp_path, node.folder.joinpath("config.yaml").read_text()).run("doctor", "--json")
        verdicts = {each["check"]: each["verdict"] for each in ended.json["checks"]}
        assert (ended.code, verdicts["node"], verdicts["readiness"], verdicts["port"]) == (0, "ok", "ok", "ok")
        assert sorted(path.name for path in tmp_path.rglob("*") if not path.name.startswith("journal")) == before
