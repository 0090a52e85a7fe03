"""What every storage does alike: one suite over a folder, an S3 server, and one that checks signatures."""

from __future__ import annotations

import hashlib
import os
import random
from contextlib import closing
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.storage import Storage, Stored, open_storage
from job_item.storage.bucket import PART_BYTES
from tests.s3 import REGION, S3, some_file

NAMES = ["a.txt", "with blank.txt", "ümlaut/é.tif", "p%20q", "a+b=c&d?e#f;g", "[x]*'\"", "..x", ".hidden", "~", "a:b"]
SIZES = [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES - 5]


class Shelf:
    """A storage and a way of one's own to look at what is in it."""

    def __init__(self, storage: Storage, server: S3 | None, folder: Path) -> None:
        self.storage = storage
        self.server = server
        self.folder = folder

    def content(self, name: str) -> bytes:
        """What others find under a name."""
        if self.server is None:
            return (self.folder / name).read_bytes()
        return bytes(self.server.fetch(f"{self.prefix}/{name}")["Body"].read())

    def names(self) -> list[str]:
        """All that others find."""
        if self.server is None:
            return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        with closing(self.server.client()) as client:
            found = client.list_objects_v2(Bucket=self.server.bucket, Prefix=f"{self.prefix}/").get("Contents") or []
        return sorted(entry["Key"].removeprefix(f"{self.prefix}/") for entry in found)

    @property
    def prefix(self) -> str:
        return self.storage.uri.split("/", 3)[3]


@pytest.fixture(params=["folder", "lenient_s3", "signed_s3"])
def server(request: pytest.FixtureRequest) -> S3 | None:
    return None if request.param == "folder" else request.getfixturevalue(request.param)


@pytest.fixture
def shelf(server: S3 | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    if server is None:
        return Shelf(open_storage(f"file://{tmp_path}/results"), None, tmp_path / "results")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    uri = f"s3://{server.bucket}/results/test/{random.randrange(10**9)}"
    return Shelf(open_storage(uri, region=REGION, endpoint=server.endpoint), server, tmp_path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_file_comes_back_as_it_went(shelf: Shelf, tmp_path: Path, size_bytes: int) -> None:
    path = some_file(tmp_path, size_bytes)
    stored = shelf.storage.upload(path, "sub/folder/report.bin")
    assert stored == Stored("sub/folder/report.bin", f"{shelf.storage.uri}/sub/folder/report.bin", size_bytes)
    assert shelf.content("sub/folder/report.bin") == path.read_bytes()
    back = shelf.storage.download("sub/folder/report.bin", tmp_path / "back.bin")
    assert back == tmp_path / "back.bin"
    assert digest(back) == digest(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_same_to_all_who_ask(shelf: Shelf, tmp_path: Path, name: str) -> None:
    shelf.storage.write(name, name.encode())
    assert shelf.names() == [name]
    assert [stored.name for stored in shelf.storage.list()] == [name]
    assert shelf.storage.download(name, tmp_path / "back").read_bytes() == name.encode()
    shelf.storage.delete(name)
    assert list(shelf.storage.list()) == []


def test_a_file_keeps_its_own_name_where_none_is_given(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.storage.upload(some_file(tmp_path, 3, "suitable.geojson")).name == "suitable.geojson"
    folder = tmp_path / "fetched"
    folder.mkdir()
    assert shelf.storage.download("suitable.geojson", folder) == folder / "suitable.geojson"


def test_what_has_the_name_already_is_replaced(shelf: Shelf, tmp_path: Path) -> None:
    shelf.storage.write("a", b"old and longer")
    shelf.storage.write("a", b"new")
    assert shelf.content("a") == b"new"
    (tmp_path / "back").write_bytes(b"old and longer")
    assert shelf.storage.download("a", tmp_path / "back").read_bytes() == b"new"


def test_a_list_names_files_with_sizes_and_may_be_of_one_folder(shelf: Shelf) -> None:
    for name in ("a.txt", "charts/one.png", "charts/deep/two.png", "charts.txt"):
        shelf.storage.write(name, name.encode())
    everything = {stored.name: stored for stored in shelf.storage.list()}
    assert sorted(everything) == ["a.txt", "charts.txt", "charts/deep/two.png", "charts/one.png"]
    assert everything["a.txt"] == Stored("a.txt", f"{shelf.storage.uri}/a.txt", 5)
    charts = {"charts/deep/two.png", "charts/one.png"}
    assert {stored.name for stored in shelf.storage.list("charts")} == charts
    assert {stored.name for stored in shelf.storage.list("charts/")} == charts
    assert list(shelf.storage.list("none")) == []
    assert list(shelf.storage.list("a.txt")) == []


def test_a_long_list_is_whole(shelf: Shelf) -> None:
    for number in range(120):
        shelf.storage.write(f"n{number}", b"")
    assert len(list(shelf.storage.list())) == 120


def test_a_storage_in_which_nothing_was_put_holds_nothing(shelf: Shelf) -> None:
    assert list(shelf.storage.list()) == []


def test_deleting_is_no_failure_where_there_is_nothing(shelf: Shelf) -> None:
    shelf.storage.delete("gone")
    shelf.storage.delete("no/such/folder")
    shelf.storage.write("sub/file", b"x")
    shelf.storage.delete("sub")
    shelf.storage.delete("sub/file/deeper")
    assert shelf.names() == ["sub/file"]


@pytest.mark.parametrize("name", ["gone", "no/such/folder", "sub", "sub/file/deeper"])
def test_a_missing_file_is_named(shelf: Shelf, tmp_path: Path, name: str) -> None:
    shelf.storage.write("sub/file", b"x")
    with pytest.raises(NodeError) as missing:
        shelf.storage.download(name, tmp_path / "back")
    assert (missing.value.code, missing.value.message.split(" in ")[0]) == ("ERR-STG-006", f"There is no {name}")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../up", "", "a//b", "a/."])
def test_no_name_leads_out(shelf: Shelf, tmp_path: Path, name: str) -> None:
    path, storage = some_file(tmp_path, 3), shelf.storage
    acts = (
        lambda: storage.upload(path, name),
        lambda: storage.write(name, b"x"),
        lambda: storage.download(name, tmp_path / "back"),
        lambda: storage.delete(name),
        lambda: list(storage.list(name or "..")),
    )
    for act in acts:
        with pytest.raises(NodeError) as refused:
            act()
        assert refused.value.code == "ERR-STG-002"
    assert shelf.names() == []


def test_who_watches_is_told_of_every_block_up_to_the_last(shelf: Shelf, tmp_path: Path) -> None:
    size_bytes = 2 * PART_BYTES + 1
    path = some_file(tmp_path, size_bytes)
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []
    shelf.storage.upload(path, "a", watch=lambda *seen: up.append(seen))
    shelf.storage.download("a", tmp_path / "back", watch=lambda *seen: down.append(seen))
    for seen in (up, down):
        assert seen == sorted(seen)
        assert len(seen) > 8
        assert seen[-1] == (size_bytes, size_bytes)


def test_who_watches_can_end_it_and_nothing_is_left(shelf: Shelf, tmp_path: Path) -> None:
    path = some_file(tmp_path, 3 * PART_BYTES)
    shelf.storage.upload(path, "whole")

    def give_up(done_bytes: int, _size_bytes: int) -> None:
        if done_bytes > 2 * PART_BYTES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.storage.upload(path, "a", watch=give_up)
    with pytest.raises(KeyboardInterrupt):
        shelf.storage.download("whole", tmp_path / "back", watch=give_up)
    assert shelf.names() == ["whole"]
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.is_file()) == ["report.bin"]


def test_a_file_that_changes_while_it_is_read_does_not_arrive(shelf: Shelf, tmp_path: Path) -> None:
    path = some_file(tmp_path, 2 * PART_BYTES)

    def grow(_done_bytes: int, _size_bytes: int) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(NodeError) as changed:
        shelf.storage.upload(path, "a", watch=grow)
    assert changed.value.code == "ERR-REP-007"
    assert shelf.names() == []


def test_what_is_no_file_is_refused_before_anything_is_sent(shelf: Shelf, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "gone", tmp_path, tmp_path / "pipe"):
        with pytest.raises(NodeError) as refused:
            shelf.storage.upload(path, "a")
        assert refused.value.code == "ERR-REP-006"
    assert shelf.names() == []


def test_a_download_needs_a_folder_that_is_there(shelf: Shelf, tmp_path: Path) -> None:
    shelf.storage.write("a", b"x")
    with pytest.raises(NodeError) as refused:
        shelf.storage.download("a", tmp_path / "no" / "back")
    assert refused.value.code == "ERR-STG-010"
    assert str(tmp_path / "no" / "back") in refused.value.message
