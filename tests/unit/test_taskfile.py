"""Only what a keeper made is ever taken away: the proof is the file's own signature."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from job_item.keeper import taskfile

HOLDS_NOTHING = ["attributes and unnamed files", "no attributes", "no unnamed files", "neither"]


@pytest.fixture(params=HOLDS_NOTHING, autouse=True)
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """File systems of all kinds."""
    kind: str = request.param

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.EOPNOTSUPP, "not here")

    if kind in ("no attributes", "neither"):
        monkeypatch.setattr(os, "setxattr", refuse)
        monkeypatch.setattr(os, "getxattr", refuse)
    if kind in ("no unnamed files", "neither"):
        monkeypatch.setattr(taskfile, "_UNNAMED", 0)
    return kind


def test_a_file_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "T1.json"
    taskfile.write(str(path), b"x" * 300_000, replace=False)
    assert (path.stat().st_mode & 0o777, path.stat().st_nlink, path.stat().st_size) == (0o600, 1, 300_000)
    assert list(tmp_path.iterdir()) == [path]


def test_an_earlier_attempts_file_makes_room_whatever_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "T1.json"
    taskfile.write(str(path), b"old", replace=False)
    path.chmod(0o644)
    taskfile.write(str(path), b"new", replace=True)
    assert path.read_bytes() == b"new"


def test_without_leave_not_even_an_earlier_attempts_file_makes_room(tmp_path: Path) -> None:
    path = tmp_path / "T1.json"
    taskfile.write(str(path), b"old", replace=False)
    with pytest.raises(FileExistsError):
        taskfile.write(str(path), b"new", replace=False)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_users_own_file_stays(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("mine")
    path.chmod(mode)
    with pytest.raises(FileExistsError):
        taskfile.write(str(path), b"{}", replace=True)
    taskfile.clear(str(path))
    assert path.read_text() == "mine"


def test_a_copy_under_another_name_is_the_users(tmp_path: Path) -> None:
    path, copy = tmp_path / "T1.json", tmp_path / "kept.json"
    taskfile.write(str(path), b"{}", replace=False)
    shutil.copy2(path, copy)
    taskfile.clear(str(copy))
    taskfile.clear(str(path))
    assert list(tmp_path.iterdir()) == [copy]


def test_what_cannot_be_removed_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "T1.json").mkdir()
    taskfile.remove(str(tmp_path / "T1.json"))
    taskfile.clear(str(tmp_path / "T1.json"))
    taskfile.clear(str(tmp_path / "absent.json"))


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    target = tmp_path / "T2.json"
    taskfile.write(str(target), b"{}", replace=False)
    link = tmp_path / "T1.json"
    link.symlink_to(target)
    with pytest.raises(FileExistsError):
        taskfile.write(str(link), b"{}", replace=True)


def test_a_command_may_edit_its_file(tmp_path: Path, file_system: str) -> None:
    if file_system in ("no attributes", "neither"):
        return  # there the time is the signature, and the file is reported in place of being replaced
    path = tmp_path / "T1.json"
    taskfile.write(str(path), b"{}", replace=False)
    path.write_text("edited")
    taskfile.clear(str(path))
    assert not path.exists()
