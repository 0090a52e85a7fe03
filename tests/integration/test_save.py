"""`job_item save` in real pipes: what it shows, what it sends, how it ends."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.managers import MSG_LIMIT_BYTES, Manager, Reply
from tests.nodes import Node, running
from tests.saving import piped, save
from tests.terminal import COMMAND, Shell, environment
from tests.weighing import weigh

pytestmark = pytest.mark.usefixtures("interruptible")


def test_input_is_shown_and_sent_as_one_notification(shell: Shell, manager: Manager) -> None:
    ended = save(shell, manager, b"one\ntwo\n")
    assert (ended.code, ended.out, ended.err) == (0, b"one\ntwo\n", "")
    (asked,) = manager.asked
    assert (asked.method, asked.path, asked.json) == ("POST", "/msg/notif/T1", {"msg": "one\ntwo\n"})
    assert asked.headers["content-type"] == "application/json"
    assert "authorization" not in asked.headers


def test_the_whole_address_and_its_beginning_lead_to_the_same_place(shell: Shell, manager: Manager) -> None:
    for place in ("/msg/notif/T1", "/msg/notif", "/msg/notif/", "/msg/notif/T1/"):
        assert save(shell, manager, b"x", JOB_ITEM_MSG_NOTIF_HOST=manager.url + place).code == 0
    assert {asked.path for asked in manager.asked} == {"/msg/notif/T1"}


def test_bytes_are_shown_as_they_come_also_without_the_end_of_a_line(manager: Manager) -> None:
    with piped(manager) as pipe:
        pipe.feed(b"no line end")
        pipe.shows(b"no line end")
        pipe.feed(b"\r 10 %\r 20 %")
        pipe.shows(b"no line end\r 10 %\r 20 %")
        assert manager.asked == []
        assert pipe.end() == 0
    assert manager.messages == ["no line end\r 10 %\r 20 %"]


def test_binary_input_is_shown_byte_for_byte_and_sent_as_text(shell: Shell, manager: Manager) -> None:
    data = b"\x00\xff\xfe ab\x1b[31m \xc3\xa4" + bytes(range(256))
    ended = save(shell, manager, data)
    assert (ended.code, ended.out) == (0, data)
    assert manager.messages == [data.decode(errors="replace")]


def test_a_line_longer_than_any_buffer_arrives_whole(shell: Shell, manager: Manager) -> None:
    line = b"x" * 90_000
    assert save(shell, manager, line + b"\n").out == line + b"\n"
    assert manager.messages == ["x" * 90_000 + "\n"]


def test_a_text_beyond_the_limit_becomes_numbered_notifications_cut_between_characters(
    shell: Shell, manager: Manager
) -> None:
    text = "".join(random.Random(5).choices("aé€😀\n", k=150_000))
    ended = save(shell, manager, text.encode())
    assert (ended.code, ended.out) == (0, text.encode())
    parts = len(manager.messages)
    assert parts == -(-len(text.encode()) // (MSG_LIMIT_BYTES - 64 - 3)) > 2
    heads, bodies = zip(*(message.split("\n", 1) for message in manager.messages), strict=True)
    assert list(heads) == [f"[part {number} of {parts}]" for number in range(1, parts + 1)]
    assert "".join(bodies) == text
    assert all(len(message.encode()) <= MSG_LIMIT_BYTES for message in manager.messages)


def test_a_text_of_exactly_the_limit_is_one_notification(shell: Shell, manager: Manager) -> None:
    assert save(shell, manager, b"y" * MSG_LIMIT_BYTES).code == 0
    assert manager.messages == ["y" * MSG_LIMIT_BYTES]


def test_of_a_huge_input_the_beginning_and_the_end_are_sent_in_little_memory(tmp_path: Path, manager: Manager) -> None:
    size = 300 << 20
    pour = f"for _ in range({size >> 20}): sys.stdout.buffer.write(b'0123456789abcdef' * 65536)"
    producer = subprocess.Popen([sys.executable, "-c", f"import sys\n{pour}\nprint('THE END')"], stdout=subprocess.PIPE)
    with open(tmp_path / "out", "wb") as out:
        command = [*COMMAND, "save", "--limit", "4 MiB"]
        code, memory_bytes = weigh(command, tmp_path, manager.variables(), stdin=producer.stdout, stdout=out)
    assert code == 0
    assert producer.stdout
    producer.stdout.close()
    assert producer.wait() == 0
    assert (tmp_path / "out").stat().st_size == size + 8
    assert memory_bytes < 100 << 20, "what came is not held in memory"
    sent = "".join(message.split("\n", 1)[1] for message in manager.messages)
    gap = f"\n[{size + 8 - (4 << 20)} bytes are left out here]\n"
    assert len(sent) == (4 << 20) + len(gap)
    assert gap in sent
    assert sent.startswith("0123456789abcdef")
    assert sent.endswith("THE END\n")


def test_empty_input_is_no_error_and_is_said(shell: Shell, manager: Manager) -> None:
    ended = save(shell, manager, b"")
    assert (ended.code, ended.out) == (0, b"")
    assert "nothing came in" in ended.err
    assert manager.asked == []


def test_what_the_job_wrote_to_its_standard_error_is_appended(shell: Shell, manager: Manager) -> None:
    manager.replies.append(Reply(200, b'{"status":"ok","key":"k","task_id":"T1","data":["first ","second\\n"]}'))
    pattern = manager.url + "/msg/share/data/:task_id/:key"
    assert save(shell, manager, b"out\n", JOB_ITEM_SHARE_DATA_GET=pattern).code == 0
    asked, _ = manager.asked
    assert (asked.method, asked.path) == ("GET", "/msg/share/data/T1/ERROR_MESSAGE_STDERR")
    assert manager.messages == ["out\nfirst second\n"]


@pytest.mark.parametrize(
    "reply", [Reply(404, b'{"error":"not found"}'), Reply(200, b"no json"), Reply(200, b"[]"), Reply(hang_up=0)]
)
def test_a_share_store_that_has_nothing_to_say_is_ignored(shell: Shell, manager: Manager, reply: Reply) -> None:
    manager.replies.append(reply)
    pattern = manager.url + "/msg/share/data/:task_id/:key"
    assert save(shell, manager, b"out", JOB_ITEM_SHARE_DATA_GET=pattern).code == 0
    assert manager.messages == ["out"]


@pytest.mark.parametrize("missing", ["JOB_ITEM_TASK_ID", "JOB_ITEM_MSG_NOTIF_HOST"])
def test_a_missing_variable_is_named_with_what_to_export_and_the_input_is_still_shown(
    shell: Shell, manager: Manager, missing: str
) -> None:
    ended = save(shell, manager, b"shown\n", **{missing: ""})
    assert (ended.code, ended.out) == (1, b"shown\n")
    assert f"The variable {missing} is not set. [ERR-REP-001]" in ended.err
    assert f"export {missing}='" in ended.err
    assert manager.asked == []


def test_an_address_that_is_none_is_refused(shell: Shell, manager: Manager) -> None:
    ended = save(shell, manager, b"x", JOB_ITEM_MSG_NOTIF_HOST="localhost:8080/msg/notif")
    assert (ended.code, "ERR-REP-002" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (Reply(400, b'{"error":"msg exceeds 100KB limit"}'), 2, "400 Bad Request, msg exceeds 100KB limit"),
        (Reply(404, b'{"error":"There is no such job."}'), 1, "404 Not Found, There is no such job"),
        (Reply(401, b""), 1, "401 Unauthorized"),
        (Reply(302, b"", {"Location": "http://elsewhere/"}), 1, "http://elsewhere/"),
        (Reply(404, b"\x1b[31mred\x07 page"), 1, "404 Not Found, [31mred page"),
    ],
)
def test_a_refused_notification_is_told_once_and_ends_with_a_code_that_is_not_0(
    shell: Shell, manager: Manager, reply: Reply, code: int, said: str
) -> None:
    manager.replies.append(reply)
    ended = save(shell, manager, b"x\n")
    assert (ended.code, ended.out) == (code, b"x\n")
    assert "ERR-REP-003" in ended.err
    assert said in ended.err
    assert len(manager.asked) == 1, "a refusal is not tried again"


def test_a_server_that_fails_or_hangs_up_is_tried_again(shell: Shell, manager: Manager) -> None:
    manager.replies += [Reply(503), Reply(hang_up=0), Reply(500, b"<html>")]
    assert save(shell, manager, b"x").code == 0
    assert len(manager.asked) == 3
    assert manager.messages[-1] == "x"


def test_a_server_that_is_away_is_told_with_what_to_do(shell: Shell, manager: Manager) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there, nor can anybody begin to
        where = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/t/token/msg/notif"
        ended = save(shell, manager, b"x\n", JOB_ITEM_MSG_NOTIF_HOST=where)
    assert (ended.code, ended.out) == (69, b"x\n")
    assert "ERR-REP-004" in ended.err
    assert "Connection refused" in ended.err
    assert "secret" not in ended.err
    assert "token" not in ended.err


def test_it_needs_no_configuration_and_reads_none(shell: Shell, manager: Manager) -> None:
    shell.config.write_text("broken: [")
    assert save(shell, manager, b"x").code == 0
    assert save(shell, manager, b"x", "--config", "nowhere.yaml").code == 0


def test_a_limit_that_is_no_size_is_refused(shell: Shell, manager: Manager) -> None:
    ended = save(shell, manager, b"x", "--limit", "much")
    assert (ended.code, manager.asked) == (2, [])


def test_in_a_pipe_it_loads_nothing_that_it_does_not_need_for_showing() -> None:
    code = "import sys, supervisor.entry, supervisor.saving; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment()).stdout
    heavy = {b"typer", b"pydantic", b"requests", b"yaml", b"rich", b"dataclasses", b"pathlib", b"tempfile", b"urllib"}
    assert heavy & set(loaded.split()) == set()


JOBS = [
    {"event": "several", "cmd": "set -e\nfor n in 1 2 3; do echo round $n | job_item save; done"},
    {"event": "broken", "cmd": "head -c 3000 /dev/urandom | job_item save >/dev/null"},
    {"event": "long", "cmd": "seq 1 60000 | job_item save | tail -n 1"},
    {"event": "token", "cmd": "echo hidden | job_item save"},
]


def node_jobs(folder: Path) -> list[dict[str, str]]:
    command = folder / "job_item"
    command.write_text(
        f"#!/bin/sh\nPYTHONPATH='{environment()['PYTHONPATH']}' exec '{sys.executable}' -m supervisor \"$@\"\n"
    )
    command.chmod(0o755)
    return [{**job, "cmd": f'PATH="{folder}:$PATH"\n{job["cmd"]}'} for job in JOBS]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("save")
    settings = {"jobs": node_jobs(folder), "api": {"port": 0, "token": "node-token"}}
    with running(folder, settings) as node:
        yield node


def notes(node: Node, event: str) -> list[str]:
    """What a job notified, seen with the token that the node wants."""
    path = "/t/node-token"
    status, answer = node.ask("POST", f"{path}/job/create", {"event": event, "form_body": {}})
    assert status == 200, answer

    def ended() -> dict[str, list[dict[str, str]]] | None:
        record: dict[str, list[dict[str, str]]] = node.get(f"{path}/jobs/{answer['task_id']}")[1]
        return record if str(record["status"]) not in ("queued", "running") else None

    record = eventually(ended, within_s=40) or {}
    assert str(record["status"]) == "finish", node.get(f"{path}/jobs/{answer['task_id']}/log")
    return [note["msg"] for note in record["notes"]]


def test_a_job_may_save_several_times(node: Node) -> None:
    assert notes(node, "several") == ["round 1\n", "round 2\n", "round 3\n"]


def test_a_node_takes_what_save_makes_of_any_bytes(node: Node) -> None:
    (note,) = notes(node, "broken")
    assert len(note) > 1000


def test_a_node_takes_all_parts_of_a_long_text(node: Node) -> None:
    parts = notes(node, "long")
    assert "".join(part.split("\n", 1)[1] for part in parts) == "".join(f"{n}\n" for n in range(1, 60001))
    assert len(parts) == 4


def test_the_first_byte_is_shown_soon_after_the_start(manager: Manager) -> None:
    """As soon as an interpreter that does nothing else would, give or take what a busy machine takes."""
    begun = time.monotonic()
    with piped(manager) as pipe:
        pipe.feed(b"!")
        pipe.shows(b"!")
        took_s = time.monotonic() - begun
        assert pipe.end() == 0
    assert took_s < 15


def test_an_endless_input_that_nobody_sees_and_that_is_sent_nowhere_is_not_read_to_its_end() -> None:
    environ = {name: value for name, value in environment().items() if not name.startswith("JOB_ITEM_")}
    script = f"yes | '{sys.executable}' -m supervisor save | head -n 1"
    ended = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, timeout=90, check=False)
    assert ended.stdout == b"y\n"
    assert b"ERR-REP-001" in ended.stderr
