"""Watching real files as people, editors and machines change them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from job_item.inotify import Notice
from job_item.plainlog import PlainLog
from job_item.sign import signs
from supervisor.multi import wait
from supervisor.plan import LogWish
from supervisor.unrest import PATIENCE_S
from supervisor.watch import Watch


class Watcher:
    """A watch that is waited on as the parent does.

    Its clock goes on by what was waited for, and stands while this process has other things to do or has no turn: what
    is said of time holds on a busy machine too.
    """

    def __init__(self, folder: Path, *more: Path) -> None:
        self.config = folder / "config.yaml"
        self.watch = Watch(PlainLog(LogWish("INFO", "json", ()), room="supervisor", secrets=(), environ={}))
        self.watch.start()
        self.wakes = 0
        self.now_s = time.monotonic()
        self.follow(*more)

    def follow(self, *more: Path) -> None:
        """What the parent does after a reading."""
        files = signs(map(str, (self.config, self.config.with_name(".env"), *more)))
        needed = frozenset(path for path, sign in files.items() if sign) | {str(self.config)}
        self.watch.follow(files, needed, self.now_s)

    def turn(self, until_s: float) -> bool:
        """One wait, and what came of it: whether the files are to be read."""
        descriptor, due_s = self.watch.fileno(), self.watch.next_look_s()
        end_s = until_s if due_s is None else min(until_s, due_s)
        if not wait([] if descriptor is None else [descriptor], max(0.0, end_s - self.now_s)):
            self.now_s = max(self.now_s, end_s)
        self.wakes += 1
        return self.watch.look(self.now_s)

    def rings(self, within_s: float = 30.0) -> float:
        """Wait until the files are to be read; how long that took."""
        begin_s = self.now_s
        while self.now_s < begin_s + within_s:
            if self.turn(begin_s + within_s):
                self.follow()
                return self.now_s - begin_s
        raise AssertionError(f"nothing noticed within {within_s} s")

    def stays_silent(self, for_s: float = 0.3) -> bool:
        end_s = self.now_s + for_s
        while self.now_s < end_s:
            if self.turn(end_s):
                return False
        return True

    def comes_to_rest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wait until all is told that others tell in their own time: a last file is told of after all the rest."""
        observer, last = self.watch._inotify, self.config.with_name("last.json")
        assert observer is not None
        take, told = observer.take, set[str]()

        def overhear() -> list[Notice]:
            notices = take()
            told.update(notice.name for notice in notices)
            return notices

        monkeypatch.setattr(observer, "take", overhear)
        last.touch()
        deadline_s = time.monotonic() + 60
        while last.name not in told or self.watch._unrest is not None:
            assert time.monotonic() < deadline_s, "it never comes to rest"
            if self.turn(self.now_s + 1):
                self.follow()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text("jobs: []\n")
    return home


@pytest.fixture
def watcher(folder: Path) -> Iterator[Watcher]:
    watcher = Watcher(folder)
    yield watcher
    watcher.watch.stop()


def in_place(file: Path) -> None:
    file.write_text("drain_grace: 1\n")


def renamed_over(file: Path) -> None:
    draft = file.with_name("4913.tmp")
    draft.write_text("drain_grace: 2\n")
    draft.rename(file)


def as_vim(file: Path) -> None:
    """`backupcopy=no`: the old file becomes the backup, the new one is made under its name."""
    backup = file.with_name("config.yaml~")
    file.rename(backup)
    file.write_text("drain_grace: 3\n")
    backup.unlink()


def as_emacs(file: Path) -> None:
    """The old file is renamed, the new one written, and both are set to the old one's mode."""
    file.rename(file.with_name("config.yaml~"))
    with file.open("w") as stream:
        stream.write("drain_grace: 4\n")
        os.fsync(stream.fileno())
    file.chmod(0o644)


def sed_in_place(file: Path) -> None:
    subprocess.run(["sed", "-i", "s/jobs/execs/", str(file)], check=True)


def appended(file: Path) -> None:
    with file.open("a") as stream:
        stream.write("drain_grace: 5\n")


def replaced_by_copy(file: Path) -> None:
    """As `install` and `cp --remove-destination` do."""
    file.unlink()
    file.write_text("drain_grace: 6\n")


def linked_over(file: Path) -> None:
    draft = file.with_name("other")
    draft.write_text("drain_grace: 7\n")
    file.unlink()
    os.link(draft, file)


EDITS = [in_place, renamed_over, as_vim, as_emacs, sed_in_place, appended, replaced_by_copy, linked_over]


@pytest.mark.parametrize("edit", EDITS)
def test_every_way_to_save_a_file_is_noticed_again_and_again(watcher: Watcher, edit: Callable[[Path], None]) -> None:
    for _ in range(3):
        watcher.config.write_text("jobs: []\n")
        watcher.rings()
        edit(watcher.config)
        watcher.rings()
        assert watcher.stays_silent()


def test_an_edit_is_noticed_at_once(watcher: Watcher) -> None:
    renamed_over(watcher.config)
    assert watcher.rings() < 0.25


def test_permissions_and_task_files_do_not_matter(watcher: Watcher) -> None:
    watcher.config.chmod(0o600)
    for number in range(10):
        file = watcher.config.with_name(f"{number}.json")
        file.write_text("{}")
        file.unlink()
    assert watcher.stays_silent()


def test_task_files_never_wake_the_parent(watcher: Watcher) -> None:
    descriptor = watcher.watch.fileno()
    assert descriptor is not None
    for number in range(1000):
        file = watcher.config.with_name(f"{number}.json")
        file.write_text("{}")
        file.unlink()
    assert wait([descriptor], 0) == []


def test_a_storm_of_renames_beside_the_file_wakes_it_seldom(watcher: Watcher) -> None:
    storm = subprocess.Popen(
        ["sh", "-c", "touch a; while :; do mv a b; mv b a; done"], cwd=watcher.config.parent, stderr=subprocess.DEVNULL
    )
    try:
        watcher.wakes = 0
        assert watcher.stays_silent(1.0)
        assert watcher.wakes < 100
    finally:
        storm.kill()
        storm.wait()


def test_a_writer_that_has_not_closed_its_file_is_waited_for(watcher: Watcher) -> None:
    with watcher.config.open("w") as stream:
        for part in ("dra", "in_gra", "ce: 8\n"):
            stream.write(part)
            stream.flush()
            assert watcher.stays_silent(0.1)
    assert watcher.rings() < 0.5


def test_but_not_for_ever(watcher: Watcher) -> None:
    with watcher.config.open("w") as stream:
        stream.write("drain_grace: 9\n")
        stream.flush()
        assert watcher.rings() < PATIENCE_S + 2


def test_edits_without_end_are_read_now_and_then(watcher: Watcher) -> None:
    script = "while :; do echo 'drain_grace: 1' > config.yaml; done"
    writer = subprocess.Popen(["sh", "-c", script], cwd=watcher.config.parent)
    try:
        assert watcher.rings() < PATIENCE_S + 1
        assert watcher.rings() < PATIENCE_S + 1
    finally:
        writer.kill()
        writer.wait()


def test_a_file_that_was_deleted_is_told_once_and_found_when_it_is_back(watcher: Watcher) -> None:
    watcher.config.unlink()
    assert watcher.rings() >= PATIENCE_S / 2
    assert watcher.stays_silent()
    watcher.config.write_text("jobs: []\n")
    watcher.rings()


def test_a_file_that_was_emptied_is_given_time_to_be_filled(watcher: Watcher) -> None:
    watcher.config.write_text("")
    assert watcher.rings() >= PATIENCE_S / 2
    watcher.config.write_text("jobs: []\n")
    watcher.rings()


def test_a_folder_that_was_deleted_is_found_when_it_is_back(watcher: Watcher) -> None:
    home = watcher.config.parent
    for _ in range(3):
        shutil.rmtree(home)
        watcher.rings()
        assert watcher.stays_silent()
        home.mkdir()
        watcher.config.write_text("jobs: []\n")
        watcher.rings()
        in_place(watcher.config)
        watcher.rings()


def test_a_folder_that_was_swapped_is_followed(watcher: Watcher) -> None:
    home = watcher.config.parent
    other = home.with_name("other")
    other.mkdir()
    (other / "config.yaml").write_text("drain_grace: 1\n")
    home.rename(home.with_name("old"))
    other.rename(home)
    watcher.rings()
    in_place(watcher.config)
    watcher.rings()


def mounted(home: Path, version: str, text: str) -> None:
    """What Kubernetes does to a mounted ConfigMap (kubelet's AtomicWriter)."""
    folder = home / f"..{version}"
    folder.mkdir()
    (folder / "config.yaml").write_text(text)
    (home / "..data_tmp").symlink_to(folder.name)
    (home / "..data_tmp").rename(home / "..data")


def test_a_config_map_is_followed_through_its_swaps(tmp_path: Path) -> None:
    mounted(tmp_path, "1", "drain_grace: 1\n")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    watcher = Watcher(tmp_path)
    for version in ("2", "3", "4"):
        mounted(tmp_path, version, f"drain_grace: {version}\n")
        shutil.rmtree(tmp_path / f"..{int(version) - 1}")
        watcher.rings()
        assert watcher.stays_silent()
    watcher.watch.stop()


def test_a_link_is_followed_to_another_folder_and_when_it_is_made_anew(folder: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("jobs: []\n")
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").symlink_to(real)
    watcher = Watcher(folder)
    in_place(real)
    watcher.rings()
    renamed_over(real)
    watcher.rings()
    real.with_name("second.yaml").write_text("drain_grace: 5\n")
    watcher.config.unlink()
    watcher.config.symlink_to(real.with_name("second.yaml"))
    watcher.rings()
    appended(real)
    assert watcher.stays_silent()
    watcher.watch.stop()


def test_dotenv_and_files_of_secrets_are_watched_too(folder: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    (folder / ".env").write_text("A=1\n")
    watcher = Watcher(folder, token)
    renamed_over(token)
    watcher.rings()
    watcher.follow(token)
    (folder / ".env").write_text("A=2\n")
    watcher.rings()
    watcher.watch.stop()


def test_what_the_system_did_not_tell_is_found_at_the_next_look(watcher: Watcher) -> None:
    dotenv = watcher.config.with_name(".env")
    dotenv.write_text("A=1\n")  # a creation, which nobody listens to
    assert watcher.stays_silent(0.1)
    watcher.watch.check(watcher.now_s)
    watcher.rings()


def test_an_edit_between_reading_and_watching_is_not_lost(folder: Path) -> None:
    watcher = Watcher(folder)
    before = signs([str(watcher.config)])
    watcher.watch.stop()
    in_place(watcher.config)
    watcher.watch.start()
    watcher.watch.follow(before, frozenset(before), watcher.now_s)
    watcher.rings()
    watcher.watch.stop()


@pytest.mark.parametrize("edit", [in_place, renamed_over, as_vim])
def test_where_the_kernel_cannot_be_asked_watchdog_tells(
    edit: Callable[[Path], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_ITEM_PORTABLE", "1")
    watcher = Watcher(folder)
    for _ in range(3):
        edit(watcher.config)
        watcher.rings()
    watcher.comes_to_rest(monkeypatch)
    (folder / "task.json").write_text("{}")
    assert watcher.stays_silent()
    watcher.watch.stop()


def test_where_nobody_tells_it_looks_once_a_second_and_says_so_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOB_ITEM_PORTABLE", "1")
    monkeypatch.setitem(sys.modules, "watchdog.observers", None)
    watcher = Watcher(folder)
    for edit in (in_place, renamed_over, as_vim):
        edit(watcher.config)
        watcher.rings()
    assert capfd.readouterr().err.count("ERR-CFG-030") == 1
    watcher.wakes = 0
    assert watcher.stays_silent(2.0)
    assert watcher.wakes <= 5
    watcher.watch.stop()
