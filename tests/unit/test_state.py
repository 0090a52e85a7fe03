"""The state folder: its mode, its locks, and what it tells of the node."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from job_item.codes import REGISTER
from job_item.errors import NodeError, Unavailable
from job_item.state import NodeInfo, StateFolder

INFO = NodeInfo(pid=7, url="http://127.0.0.1:8080", token="s3cret", version="1.0", started_at=1.5)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "deep" / "state")
    folder.prepare()
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_for_its_owner_alone(folder: StateFolder) -> None:
    assert mode_of(folder.path) == 0o700


def test_a_folder_that_was_made_for_us_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    StateFolder(tmp_path).prepare()
    assert mode_of(tmp_path) == 0o700


def test_a_folder_in_use_keeps_the_mode_that_its_owner_gave_it(folder: StateFolder) -> None:
    (folder.path / "journal.sqlite").touch()
    folder.path.chmod(0o750)
    folder.prepare()
    assert mode_of(folder.path) == 0o750


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_where_others_may_write_is_refused(folder: StateFolder, mode: int) -> None:
    folder.path.chmod(mode)
    with pytest.raises(NodeError, match="Others may write") as caught:
        folder.prepare()
    assert caught.value.code == "ERR-SUP-007"
    assert "chmod 700" in str(caught.value.remedy)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NodeError, match="Not a directory") as caught:
        StateFolder(tmp_path / "file" / "state").prepare()
    assert caught.value.code == "ERR-SUP-006"


def test_a_lock_that_is_held_names_its_holder(folder: StateFolder) -> None:
    lock = folder.lock("node")
    with pytest.raises(Unavailable, match=f"process {os.getpid()}") as caught:
        folder.lock("node")
    assert caught.value.code == "ERR-SUP-005"
    lock.release()


def test_who_looks_at_a_lock_sees_its_holder_and_takes_nothing(folder: StateFolder) -> None:
    assert folder.holder("node") is None, "there is not even a file"
    lock = folder.lock("node")
    assert folder.holder("node") == os.getpid()
    os.truncate(folder.path / "node.lock", 0)
    assert folder.holder("node") == 0, "it has not written its pid yet"
    lock.release()
    assert folder.holder("node") is None


def test_who_looks_all_the_time_keeps_nobody_from_taking_a_lock(folder: StateFolder) -> None:
    folder.lock("node").release()
    look = (
        "import pathlib, sys; from job_item.state import StateFolder; folder = StateFolder(pathlib.Path(sys.argv[1]))\n"
        "print(flush=True)\n"
        "while True: folder.holder('node')"
    )
    looker = subprocess.Popen([sys.executable, "-c", look, str(folder.path)], stdout=subprocess.PIPE)
    try:
        assert looker.stdout is not None and looker.stdout.readline()
        for _ in range(2000):
            folder.lock("node").release()
        assert looker.poll() is None
    finally:
        looker.kill()
        looker.communicate()


def test_without_locks_of_open_files_it_is_a_lock_all_the_same(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(fcntl, "F_OFD_SETLK", raising=False)
    monkeypatch.delattr(fcntl, "F_OFD_GETLK", raising=False)
    lock = folder.lock("node")
    assert folder.holder("node") == os.getpid()
    with pytest.raises(Unavailable, match=str(os.getpid())):
        folder.lock("node")
    lock.release()
    assert folder.holder("node") is None
    folder.lock("node").release()


def test_a_released_lock_can_be_taken_again_and_releasing_twice_is_harmless(folder: StateFolder) -> None:
    lock = folder.lock("node")
    lock.release()
    lock.release()
    folder.lock("node").release()


def test_locks_of_different_names_do_not_meet(folder: StateFolder) -> None:
    folder.lock("worker").release()
    locks = [folder.lock(name) for name in ("node", "worker", "execs")]
    for lock in locks:
        lock.release()


def test_a_lock_ends_with_its_process_and_is_not_left_to_its_children(folder: StateFolder) -> None:
    program = (
        "import subprocess, sys, pathlib; from job_item.state import StateFolder; "
        "lock = StateFolder(pathlib.Path(sys.argv[1])).lock('node'); "
        "print(subprocess.Popen(['sleep', '60'], close_fds=False, stdout=-3, stderr=-3).pid)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder.path)], check=True, capture_output=True, text=True)
    try:
        folder.lock("node").release()
    finally:
        os.kill(int(done.stdout), 9)


def test_what_is_told_of_the_node_is_read_back_and_for_its_owner_alone(folder: StateFolder) -> None:
    folder.write_node(INFO)
    assert folder.read_node() == INFO
    assert mode_of(folder.path / "node.json") == 0o600
    assert sorted(path.name for path in folder.path.iterdir()) == ["node.json"]


def test_a_node_that_was_told_of_twice_is_the_last_one(folder: StateFolder) -> None:
    folder.write_node(INFO)
    (folder.path / "node.json.new").write_text("left by a crash")
    later = NodeInfo(8, INFO.url, None, INFO.version, 2.5)
    folder.write_node(later)
    assert folder.read_node() == later


def test_a_node_that_was_removed_or_never_told_of_is_none(folder: StateFolder) -> None:
    assert folder.read_node() is None
    folder.write_node(INFO)
    folder.remove_node()
    folder.remove_node()
    assert folder.read_node() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "colour": "red"}', "\x00"])
def test_a_file_that_is_no_node_is_none(folder: StateFolder, text: str) -> None:
    (folder.path / "node.json").write_text(text)
    assert folder.read_node() is None


def test_the_codes_of_state_and_supervisor_are_registered() -> None:
    assert {f"ERR-SUP-{number:03}" for number in range(1, 14)} | {"ERR-LNK-001"} <= REGISTER.keys()


def test_a_folder_that_takes_no_changes_any_more_is_no_fault_at_the_end(folder: StateFolder) -> None:
    # What keeps a file from being removed, for root too: it has become a directory with something in it.
    (folder.path / "node.json" / "below").mkdir(parents=True)
    folder.remove_node()
    folder.path.chmod(0o500)
    folder.remove_node()
    assert (folder.path / "node.json").is_dir()
