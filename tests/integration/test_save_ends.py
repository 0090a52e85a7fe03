"""`job_item save` where the other ends go away: readers, disks, signals, producers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.managers import Manager, Reply
from tests.saving import PATIENT, piped, save, with_grace
from tests.terminal import COMMAND, Shell, environment

pytestmark = pytest.mark.usefixtures("interruptible")


def test_a_reader_that_goes_away_does_not_stop_the_sending(manager: Manager) -> None:
    save = f"'{sys.executable}' -m supervisor save"
    script = f"seq 1 20000 | {save} | head -n 1; echo ${{PIPESTATUS[1]}}"
    ended = subprocess.run(
        ["bash", "-c", script], env=environment(manager.variables()), capture_output=True, timeout=90, check=True
    )
    assert ended.stdout.split() == [b"1", b"0"]
    assert ended.stderr == b""
    assert "".join(manager.messages).endswith("19999\n20000\n")


def test_a_full_disk_at_standard_output_is_told_and_the_sending_goes_on(manager: Manager) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*COMMAND, "save"],
            input=b"data",
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(manager.variables()),
            timeout=90,
            check=False,
        )
    assert ended.returncode == 1
    assert b"No space left on device. [ERR-REP-012]" in ended.stderr
    assert manager.messages == ["data"]


def test_output_that_nobody_reads_does_not_keep_a_signal_from_ending_it(manager: Manager) -> None:
    ours, theirs = os.pipe()
    process = subprocess.Popen(PATIENT, stdin=subprocess.PIPE, stdout=theirs, env=environment(manager.variables()))
    assert process.stdin
    feeder = threading.Thread(target=process.stdin.write, args=(b"z" * 150_000,))
    feeder.start()
    feeder.join(60)
    process.stdin.flush()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    process.stdin.close()
    os.close(ours)
    os.close(theirs)
    assert manager.messages, "what had come in was sent"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_has_come_before_a_signal_is_still_sent(manager: Manager, number: signal.Signals) -> None:
    with piped(manager, command=PATIENT) as pipe:
        pipe.feed(b"before")
        pipe.shows(b"before")
        pipe.process.send_signal(number)
        assert pipe.process.wait(60) == 128 + number
    assert manager.messages == ["before"]


def test_a_silent_server_does_not_hold_up_the_end_after_a_signal(manager: Manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}/msg/notif"
        with piped(manager, JOB_ITEM_MSG_NOTIF_HOST=where) as pipe:
            pipe.feed(b"before")
            pipe.shows(b"before")
            pipe.process.send_signal(signal.SIGTERM)
            assert pipe.process.wait(60) == 128 + signal.SIGTERM
            assert b"ERR-REP-004" in pipe.err.finish()


def test_a_second_signal_ends_it_at_once(manager: Manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}/msg/notif"
        with piped(manager, command=PATIENT, JOB_ITEM_MSG_NOTIF_HOST=where) as pipe:
            pipe.feed(b"before")
            pipe.shows(b"before")
            pipe.process.send_signal(signal.SIGINT)
            connection, _ = silent.accept()
            connection.recv(1)
            pipe.process.send_signal(signal.SIGINT)
            assert pipe.process.wait(60) == -signal.SIGINT
            connection.close()


def test_a_failure_that_is_being_told_is_told_to_its_end(manager: Manager) -> None:
    """Nobody reads it until the time after the signal is over."""
    manager.replies.append(Reply(404, b'{"error":"no such job"}'))
    ours, theirs = os.pipe()
    process = subprocess.Popen(
        with_grace(2),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(manager.variables()),
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"x")
    process.stdin.flush()
    assert process.stdout.read(1) == b"x"
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while os.write(theirs, bytes(4096)):
            pass
    os.set_blocking(theirs, True)
    os.close(theirs)
    process.send_signal(signal.SIGTERM)
    time.sleep(4)  # the stretch in which nobody reads
    with open(ours, "rb") as told:
        said = told.read().lstrip(b"\0")
    assert process.wait(60) == 128 + signal.SIGTERM
    assert said.startswith(b"error: ")
    assert b"Traceback" not in said
    process.stdin.close()
    process.stdout.close()


def bash(script: str, env: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    text = script.replace("job_item", f"'{sys.executable}' -m supervisor")
    return subprocess.run(
        ["bash", "-c", text], env=environment(dict(env)), cwd=folder, capture_output=True, timeout=90, check=False
    )


def test_the_exit_code_of_the_producer_is_sent_and_passed_on(tmp_path: Path, manager: Manager) -> None:
    script = "set -e; { (echo out; exit 3) && echo 0 >rc || echo $? >rc; } | job_item save --status rc"
    ended = bash(script, manager.variables(), tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"out\n", b"")
    assert manager.messages == ["out\n[exit code 3]\n"]


def test_the_exit_code_of_the_producer_may_be_a_number(tmp_path: Path, manager: Manager) -> None:
    ended = bash("echo out >log; job_item save --status $? <log", manager.variables(), tmp_path)
    assert ended.returncode == 0
    assert manager.messages == ["out\n[exit code 0]\n"]


@pytest.mark.parametrize(("status", "said"), [("none", "No such file"), ("999", "999 is none"), ("bad", "no number")])
def test_an_exit_code_that_cannot_be_read_is_told_and_the_rest_is_sent(
    shell: Shell, manager: Manager, status: str, said: str
) -> None:
    (shell.folder / "bad").write_text("soon\n")
    ended = save(shell, manager, b"x", "--status", status)
    assert (ended.code, "ERR-REP-011" in ended.err, said in ended.err) == (1, True, True)
    assert manager.messages == ["x"]
