"""Codes that only something going wrong in earnest brings forth: each is provoked here, and said where users look."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import Bug, Unavailable
from job_item.keeper.command import Ended
from job_item.settings import Job
from job_item.template import TemplateError, compile_command
from tests.conftest import eventually
from tests.journals import in_loop, open_journal
from tests.nodes import Node, running
from tests.terminal import Shell
from worker import parts
from worker.journal import errors
from worker.runners import command
from worker.seams import Assignment

JOBS: list[dict[str, Any]] = [
    {"event": "no_program", "cmd": ["./plain"]},
    {"event": "long_word", "cmd": ["/bin/echo", "{{x}}"]},
    {"event": "late", "cmd": "sleep 600", "timeout": 0.1, "kill_grace": 0.1},
    {"event": "wanted", "cmd": "echo up; sleep 600", "kill_grace": 0.1},
    {"event": "killed", "cmd": "kill -9 $$"},
    {"event": "busy", "cmd": ["./busy"]},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("codes")
    (folder / "plain").write_text("no program\n")
    shutil.copy("/bin/true", folder / "busy")
    with (folder / "busy").open("ab"), running(folder, {"jobs": JOBS}) as made:
        yield made


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("no_program", "ERR-RUN-003"),
        ("long_word", "ERR-RUN-004"),
        ("late", "ERR-RUN-007"),
        ("killed", "ERR-RUN-011"),
        ("busy", "ERR-RUN-012"),
    ],
)
def test_a_job_that_goes_wrong_says_how(node: Node, event: str, code: str) -> None:
    record = node.await_status(node.submit(event, {"x": "x" * 200_000}), within_s=60)
    assert record["error"]["code"] == code
    assert record["error"]["message"]
    assert record["error"]["remedy"]


@pytest.mark.parametrize("step", ["nice", "limit"])
def test_a_limit_that_this_user_may_not_set_says_so(step: str) -> None:
    """Root may set them all, so the keeper's answer is written down here."""
    spec = Job(event="a", cmd="true")
    told = command.outcome_of(
        Ended("failed", errno=errno.EPERM, text="-20", step=step), Assignment("T", "a", 1, 1, b"", spec)
    )
    assert (told.error_code, "-20" in (told.error or "")) == ("ERR-RUN-016", True)


def test_a_job_that_was_ended_on_request_says_so(node: Node) -> None:
    task_id = node.submit("wanted")
    eventually(lambda: node.output(task_id))
    node.ask("POST", f"/jobs/{task_id}/cancel")
    assert node.await_status(task_id, "terminate")["error"]["code"] == "ERR-RUN-008"


def codes_in(node: Node) -> set[str]:
    lines = node.log.read_text().rpartition("\n")[0].splitlines()  # the last one may still be written
    return {json.loads(line).get("code") for line in lines if line.startswith("{")}


def test_execs_that_fail_and_take_the_node_with_them_are_logged(tmp_path: Path) -> None:
    cmd = f"until [ -e {tmp_path}/gate ]; do sleep 0.05; done; exit 3"  # not before the node is known to be ready
    execs = [{"key": "vital", "cmd": cmd, "attempt": 1, "cascade_exit": True}]
    with running(tmp_path, {"execs": execs}) as node:
        (tmp_path / "gate").touch()
        assert node.process is not None
        assert node.process.wait(60) == 76
        assert {"ERR-EXE-002", "ERR-EXE-004"} <= codes_in(node)


def test_a_parent_that_is_out_of_descriptors_says_that_no_child_can_be_started_and_recovers(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": JOBS[:1], "restart": {"limit": 1000}}) as node:
        before = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
        worker = node.child_pid("worker")
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (8, before[1]))
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: "ERR-SUP-003" in codes_in(node), within_s=60)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, before)
        eventually(lambda: node.get("/readyz")[0] == 200, within_s=60)
        assert node.child_pid("worker") != worker


def test_a_broken_job_child_says_why_it_ends(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    parts.die(ValueError("torn"))
    assert ends == [70]
    assert "ERR-RUN-013" in capfd.readouterr().err


@in_loop
async def test_a_journal_that_is_closed_or_broken_says_which(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    await journal.close()
    with pytest.raises(Unavailable) as closed:
        await journal.accept("a", "e", "t", b"{}", 1.0)
    assert closed.value.code == "ERR-STO-005"
    broken = errors.of_use(ValueError("torn"), "written")
    assert (type(broken), broken.code) == (Bug, "ERR-STO-004")


def test_templates_for_other_shells_and_second_readers_say_so() -> None:
    with pytest.raises(TemplateError) as refused:
        compile_command("echo {{a}}", shell="fish")
    assert [fault.code for fault in refused.value.faults] == ["ERR-RUN-113"]
    assert [fault.code for fault in compile_command("ssh host {{a}}").warnings] == ["ERR-RUN-116", "ERR-RUN-117"]
    assert [fault.code for fault in compile_command("rm {{a}}").warnings] == ["ERR-RUN-117"]


def test_a_code_that_is_none_is_refused_with_one_that_is(tmp_path: Path) -> None:
    ended = Shell(tmp_path).run("errors", "ERR-NON-999")
    assert ended.code == 2
    assert "ERR-SUP-056" in ended.err
