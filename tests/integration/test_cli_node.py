"""Commands about the node and its configuration, and how they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_item.link import ExecState
from job_item.state import NodeInfo
from tests.conftest import ROOT, free_port
from tests.desks import MemoryDesk, Served, serve
from tests.terminal import Shell, environment

FAULTY = """
jobs:
  - {event: hello, cmd: echo hello, timeot: 3}
  - {event: hello}
"""


@pytest.fixture
def node(shell: Shell) -> Iterator[Served]:
    desk = MemoryDesk()
    desk.exec_states = (ExecState("ticker", "A clock", "running", 77, 1, None, 1_700_000_000.0),)
    with serve(desk) as served:
        shell.knows(served)
        yield served


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        return process.pid


def test_status_is_what_healthz_says_and_more(shell: Shell, node: Served) -> None:
    node.create("T1")
    status = shell.run("status").json
    assert status["identity"] == "node-1"
    assert status["supervisor"] == {"pid": 10}
    assert status["worker"] == {"pid": 11}
    assert status["ready"] is True
    assert (status["counts"]["queued"], status["counts"]["running"]) == (1, 0)
    assert status["slots"] >= 1
    assert status["url"] == node.base_url
    assert [each["key"] for each in status["commands"]] == ["ticker"]
    assert [job["task_id"] for job in status["jobs"]] == ["T1"]


def test_status_says_why_a_node_takes_no_jobs(shell: Shell, node: Served) -> None:
    node.desk.ready = type(node.desk.ready)(False, ("the broker is away",))
    assert shell.run("status").json["reasons"] == ["the broker is away"]


def test_status_is_drawn_again_and_again_on_a_terminal(shell: Shell, node: Served) -> None:
    with shell.on_terminal("status", "--watch") as running:
        running.sees("node-1")
        running.sees("ticker")
        node.create("T1")
        running.sees("T1")
        shell.state.remove_node()
        running.sees("[ERR-SUP-050]")
        shell.knows(node)
        node.create("T2")
        running.sees("T2")
        running.interrupt()
        ended = running.end()
    assert ended.code == 0
    assert b"Traceback" not in ended.out


def test_a_watched_status_is_one_document_a_line_for_programs(shell: Shell, node: Served) -> None:
    with shell.start("status", "--watch") as running:
        running.sees('"queued": 0')
        node.create("T1")
        running.sees('"queued": 1')
        running.interrupt()
        ended = running.end()
    assert ended.code == 0
    assert {json.loads(line)["identity"] for line in ended.out.splitlines()} == {"node-1"}


def test_execs_are_listed(shell: Shell, node: Served) -> None:
    assert shell.run("execs", "--json").json[0]["state"] == "running"
    with shell.on_terminal("execs") as running:
        assert b"A clock" in running.end().out


def test_the_token_of_the_node_is_shown_to_it(shell: Shell) -> None:
    with serve(token="secret") as served:
        shell.knows(served, token="secret")
        assert shell.run("jobs").json == []
        shell.knows(served, token="wrong")
        ended = shell.run("jobs")
    assert ended.code == 1
    assert "ERR-API-005" in ended.err


def test_proxies_are_not_asked_for_a_node_of_this_machine(shell: Shell, node: Served) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    assert shell.run("jobs", env={"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy}).json == []


@pytest.mark.parametrize("words", [("jobs",), ("submit", "hello", "--follow"), ("logs", "T1", "-f"), ("status",)])
def test_without_a_node_every_command_says_so_at_once(shell: Shell, words: tuple[str, ...]) -> None:
    ended = shell.run(*words)
    assert ended.code == 69
    assert ended.out == b""
    assert ended.err.startswith("error: No node runs on the state folder ")
    assert "[ERR-SUP-050]" in ended.err
    assert "Start one with `job_item`" in ended.err


def test_a_node_that_was_killed_is_not_waited_for(shell: Shell) -> None:
    shell.state.prepare()
    shell.state.write_node(NodeInfo(dead_pid(), f"http://127.0.0.1:{free_port()}", None, "0.1.0", 0.0))
    ended = shell.run("jobs")
    assert ended.code == 69
    assert "is gone" in ended.err


def test_a_broken_configuration_does_not_hide_the_node_that_runs(shell: Shell, node: Served) -> None:
    shell.config.write_text(FAULTY)
    assert shell.run("jobs").json == []
    assert shell.run("status").json["slots"] >= 1
    shell.state.remove_node()
    assert shell.run("jobs").code == 78


def test_check_lists_all_faults_with_place_remedy_and_code(shell: Shell) -> None:
    shell.config.write_text(FAULTY)
    for words in (("check",), ("--dry-run",), ("run", "--dry-run")):
        ended = shell.run(*words)
        assert ended.code == 78
        assert f"{shell.config}:3: error: jobs[0].timeot: " in ended.err
        assert f"{shell.config}:4: error: jobs[1]" in ended.err
        assert "timeout" in ended.err
        assert "the node would not start" in ended.out.decode()
        assert "Traceback" not in ended.err


def test_check_answers_in_json(shell: Shell) -> None:
    assert shell.run("check", "--json").json == {"ok": True, "faults": []}
    shell.config.write_text(FAULTY)
    ended = shell.run("check", "--json")
    assert ended.code == 78
    assert ended.json["ok"] is False
    assert {fault["line"] for fault in ended.json["faults"]} == {3, 4}
    assert all(fault["remedy"] for fault in ended.json["faults"])


def test_check_is_content_with_a_good_configuration(shell: Shell) -> None:
    ended = shell.run("check", "--connect")
    assert (ended.code, ended.err) == (0, "")
    assert b"2 jobs, 0 execs" in ended.out
    assert not (shell.folder / ".job_item").exists()


POLLING = (
    "reefguide: {{api_endpoint: 'http://127.0.0.1:{port}', job_types: TEST, username: a@b.org, password: secret}}\n"
)


def test_check_connects_to_the_servers_of_the_settings(shell: Shell) -> None:
    for text, code in (
        (f"end_point: http://127.0.0.1:{free_port()}\n", "ERR-MGR-001"),
        (f"broker_connection: {{type: nats, host: 127.0.0.1, port: {free_port()}}}\n", "ERR-SUP-057"),
        (POLLING.format(port=free_port()), "ERR-RFG-004"),
    ):
        shell.config.write_text(text)
        shell.config.chmod(0o600)
        ended = shell.run("check", "--connect")
        assert ended.code == 78
        assert ended.err.count("ERR-") == 1 and code in ended.err


def test_a_missing_configuration_is_named(shell: Shell) -> None:
    for words in (("--config", "none.yaml"), ("child_process", "-c", "none.yaml"), ("jobs", "-c", "none.yaml")):
        ended = shell.run(*words)
        assert ended.code == 78
        assert "none.yaml" in ended.err
        assert "ERR-CFG-001" in ended.err


def test_dry_run_goes_with_no_other_command(shell: Shell) -> None:
    assert shell.run("--dry-run", "jobs").code == 2


def test_the_nearest_config_wins(shell: Shell) -> None:
    for name in ("one", "two", "three"):
        (shell.folder / f"{name}.yaml").write_text("")
    env = {"CONFIG_PATH": "three.yaml"}

    def used(*words: str) -> str:
        return Path(shell.run(*words, env=env).json["config_path"]).stem

    assert used("config", "show") == "three"
    assert used("--config", "one.yaml", "config", "show") == "one"
    assert used("config", "-c", "one.yaml", "show") == "one"
    assert used("config", "show", "--config=one.yaml") == "one"
    assert used("--config", "one.yaml", "config", "show", "-c", "two.yaml") == "two"
    assert Path(shell.run("config", "show").json["config_path"]) == shell.config


def test_config_show_tells_where_values_come_from_and_hides_secrets(shell: Shell) -> None:
    shell.config.write_text("credential:\n  project_id: p1\n  secret_key: very-secret\n")
    shell.config.chmod(0o600)
    ended = shell.run("config", "show", env={"WORKER_ID": "w1"})
    assert ended.json["layers"]["credential.project_id"] == "config.yaml:2"
    assert ended.json["layers"]["identity_id"] == "environment WORKER_ID"
    assert ended.json["layers"]["limits.queue"] == "default"
    assert ended.json["settings"]["credential"]["project_id"] == "p1"
    with shell.on_terminal("config", "show") as running:
        text = running.end().out.decode()
    assert "very-secret" not in text + ended.out.decode()
    assert "config.yaml:2" in text


def test_errors_explains_codes_old_ones_too(shell: Shell) -> None:
    assert shell.run("errors", "err-303509t3200").json["code"] == "ERR-RUN-001"
    assert {entry["code"] for entry in shell.run("errors").json} >= {"ERR-CFG-001", "ERR-SUP-001"}
    ended = shell.run("errors", "ERR-CFG-0001")
    assert ended.code == 2
    assert "Did you mean ERR-CFG-001" in ended.err
    with shell.on_terminal("errors", "ERR-SUP-001") as running:
        assert b"ERR-60350903200" in running.end().out


def test_wrong_options_and_commands_are_usage_errors(shell: Shell) -> None:
    for line in ("--nonsense", "jobs --nonsense", "nonsense", "submit", "submit hello -f --json", "nonsense -h"):
        ended = shell.run(*line.split())
        assert ended.code == 2
        assert "Usage: job_item" in ended.err
        assert ended.out == b""


def test_the_version_is_told(shell: Shell) -> None:
    assert shell.run("--version").out.startswith(b"job_item 0.")


def test_a_bug_ends_with_70_and_shows_its_trace_only_when_asked(shell: Shell) -> None:
    script = "import sys; sys.modules['supervisor.show'] = None\nfrom supervisor.entry import main\nsys.exit(main())"
    words = [sys.executable, "-c", script, "config", "show", "--config", str(shell.config)]

    def fail(env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        ours, theirs = os.openpty()
        with os.fdopen(ours), os.fdopen(theirs):
            return subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, env=environment(env), check=False)

    quiet, loud = fail({}), fail({"LOG_LEVEL": "DEBUG"})
    assert quiet.returncode == loud.returncode == 70
    assert b"[ERR-SUP-055]" in quiet.stderr
    assert b"LOG_LEVEL=DEBUG" in quiet.stderr
    assert b"Traceback" not in quiet.stderr
    assert b"Traceback" in loud.stderr


def test_rooms_from_two_places_are_refused_at_start(shell: Shell, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "worker.py").write_text("raise SystemExit('must not be imported')")
    for words in ((), ("child_process",), ("child_execs_process",)):
        ended = shell.run(*words, env={"PYTHONPATH": f"{strange}{os.pathsep}{ROOT}"})
        assert ended.code == 1
        assert "[ERR-SUP-053]" in ended.err
        assert str(strange / "worker.py") in ended.err


@pytest.mark.parametrize(
    "words", ["", "submit", "status", "errors", "config show", "child_process", "execs", "execs logs", "reload"]
)
def test_help_loads_nothing_heavy(words: str) -> None:
    heavy = "pydantic yaml requests rich structlog multiprocess fastapi uvicorn asyncio ssl job_item.settings"
    script = (
        f"import sys; sys.argv = ['job_item', *{words.split()}, '--help']\n"
        "from supervisor.entry import main\n"
        "try: main()\n"
        f"finally: print([name for name in {heavy.split()} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment(), check=True)
    assert ended.stdout.decode().splitlines()[-1] == "[]"
    assert b"Usage: job_item" in ended.stdout


@pytest.mark.parametrize("words", ["", "submit", "config show", "execs logs"])
def test_help_is_laid_out_anew_for_a_narrow_terminal_and_says_the_same(words: str) -> None:
    asked = [sys.executable, "-m", "supervisor", *words.split(), "-h"]
    said = [
        subprocess.run(asked, capture_output=True, env=environment() | columns, check=True, text=True).stdout
        for columns in ({}, {"COLUMNS": "80"}, {"COLUMNS": "60"})
    ]
    assert said[0] == said[1]
    assert max(map(len, said[2].splitlines())) <= 60 < max(map(len, said[0].splitlines()))


def test_the_console_scripts_module_loads_nothing() -> None:
    script = "import sys; before = set(sys.modules); import supervisor.entry; print(sorted(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment(), check=True)
    assert ended.stdout.decode().strip() == "['supervisor', 'supervisor.entry']"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("job_item su", "submit"),
        ("job_item submit co", "count"),
        ("job_item submit --config other.yaml o", "only-there"),
        ("job_item errors ERR-SUP-00", "ERR-SUP-001"),
        ("job_item jobs --status ti", "timeout"),
        ("job_item logs T", "T1"),
    ],
)
def test_words_are_completed(shell: Shell, node: Served, line: str, word: str) -> None:
    node.create("T1")
    (shell.folder / "other.yaml").write_text("jobs:\n  - {event: only-there, cmd: 'true'}\n")
    env = {"_JOB_ITEM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    ended = shell.run(env=env)
    assert word in ended.out.decode().split()


def test_a_completion_that_cannot_answer_is_silent(shell: Shell) -> None:
    shell.config.write_text(FAULTY)
    for line in ("job_item submit h", "job_item logs T"):
        env = {"_JOB_ITEM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "2"}
        ended = shell.run(env=env)
        assert (ended.out.strip(), ended.err) == (b"", "")


def test_the_command_is_installed_under_its_name(shell: Shell) -> None:
    ended = subprocess.run([Path(sys.executable).with_name("job_item"), "--version"], capture_output=True, check=True)
    assert ended.stdout == shell.run("--version").out
