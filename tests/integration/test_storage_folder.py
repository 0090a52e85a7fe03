"""A storage in a folder: links, rights, a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.storage import Storage, open_storage
from job_item.storage.bucket import PART_BYTES
from tests.conftest import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def storage(root: Path) -> Storage:
    return open_storage(str(root))


@pytest.fixture
def outside(tmp_path: Path, root: Path) -> Path:
    """A folder with a secret, to which links in the storage lead."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (outside / "secret").write_text("secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "broken").symlink_to(outside / "new")
    return outside


def refusal(storage: Storage, act: str, name: str, path: Path) -> str:
    with pytest.raises(NodeError) as refused:
        match act:
            case "upload":
                storage.upload(path, name)
            case "write":
                storage.write(name, b"x")
            case "download":
                storage.download(name, path.with_name("back"))
            case "delete":
                storage.delete(name)
    return refused.value.code


@pytest.mark.parametrize("act", ["upload", "write", "download", "delete"])
@pytest.mark.parametrize("name", ["folder/secret", "folder/new", "folder/deeper/new"])
def test_no_link_leads_out(storage: Storage, outside: Path, tmp_path: Path, act: str, name: str) -> None:
    path = tmp_path / "mine"
    path.write_text("mine")
    assert refusal(storage, act, name, path) == "ERR-STG-002"
    assert [entry.name for entry in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize("act", ["download", "delete"])
@pytest.mark.parametrize("name", ["file", "broken"])
def test_a_link_is_not_followed_for_a_file(
    storage: Storage, outside: Path, tmp_path: Path, act: str, name: str
) -> None:
    assert refusal(storage, act, name, tmp_path / "mine") == "ERR-STG-002"
    assert (outside / "secret").read_text() == "secret"


def test_an_upload_takes_the_place_of_a_link_and_leaves_its_target_alone(
    storage: Storage, outside: Path, root: Path
) -> None:
    storage.write("file", b"mine")
    assert not (root / "file").is_symlink()
    assert (outside / "secret").read_text() == "secret"


def test_a_list_leaves_links_out(storage: Storage, outside: Path) -> None:
    storage.write("mine", b"")
    assert [stored.name for stored in storage.list()] == ["mine"]
    with pytest.raises(NodeError) as refused:
        list(storage.list("folder"))
    assert refused.value.code == "ERR-STG-002"


def test_nothing_gets_out_while_somebody_turns_a_folder_into_a_link_and_back(
    storage: Storage, tmp_path: Path, root: Path
) -> None:
    outside, stop = tmp_path / "outside", threading.Event()
    outside.mkdir()
    root.mkdir()

    def flip() -> None:
        while not stop.is_set():
            shutil.rmtree(root / "sub", ignore_errors=True)
            with suppress(FileExistsError):  # made anew by the writer
                (root / "sub").symlink_to(outside)
            with suppress(OSError):
                (root / "sub").unlink()

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        for number in range(500):
            try:
                storage.write(f"sub/{number}", b"x")
            except NodeError as refused:
                assert refused.code in ("ERR-STG-002", "ERR-STG-006", "ERR-STG-009")
    finally:
        stop.set()
        flipper.join()
    assert list(outside.iterdir()) == []
    storage.write("sub/last", b"x")
    assert (root / "sub/last").read_bytes() == b"x"


def test_a_storage_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    open_storage(f"file://{tmp_path}/link").write("a", b"x")
    assert (tmp_path / "real" / "a").read_bytes() == b"x"


def test_a_folder_in_the_way_is_named(storage: Storage, tmp_path: Path) -> None:
    storage.write("a/b", b"x")
    storage.write("c", b"x")
    assert refusal(storage, "write", "a", tmp_path) == "ERR-STG-009"
    assert refusal(storage, "write", "c/d", tmp_path) == "ERR-STG-009"
    assert sorted(stored.name for stored in storage.list()) == ["a/b", "c"]


def test_what_may_not_be_written_is_named() -> None:
    with pytest.raises(NodeError) as refused:
        open_storage("/sys/kernel/results").write("a", b"x")  # not even root may
    assert refused.value.code == "ERR-STG-004"
    assert refused.value.message == "/sys/kernel/results does not allow access to a: Operation not permitted."


def test_unfinished_files_are_not_listed(storage: Storage, root: Path) -> None:
    storage.write("a", b"x")
    (root / ".unfinished-0123").write_bytes(b"half")
    assert [stored.name for stored in storage.list()] == ["a"]


ON_A_SMALL_DISK = """
import pathlib, sys
from job_item.errors import NodeError
from job_item.storage import open_storage
disk, other = pathlib.Path("disk"), open_storage("other")
(disk / "old").write_bytes(b"old")
for act in (
    lambda: open_storage(str(disk)).upload("big", "old"),
    lambda: open_storage(str(disk)).write("old", b"x" * (4 << 20)),
    lambda: other.download("big", disk / "old"),
):
    try:
        act()
        print("no failure")
    except NodeError as failure:
        print(failure.code, failure.message)
print(sorted(entry.name for entry in disk.iterdir()), (disk / "old").read_bytes())
"""


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        (folder / "big").write_bytes(bytes(PART_BYTES))
    script = f'mount -t tmpfs -o size=1m tmpfs disk && exec {sys.executable} -c "$1"'
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", ON_A_SMALL_DISK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"ERR-STG-007 There is no room left for old in {tmp_path}/disk.",
        f"ERR-STG-007 There is no room left for old in {tmp_path}/disk.",
        "ERR-STG-007 There is no room left for disk/old.",
        "['old'] b'old'",
    ]
    assert done.stderr == ""
