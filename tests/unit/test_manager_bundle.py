"""Certificates of strangers: what is proper is unpacked as a whole, everything else leaves nothing behind."""

from __future__ import annotations

import io
import os
import random
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.manager import bundle
from job_item.manager.bundle import unpack

Entries = tuple[tuple[str, bytes], ...]
LINK, DEVICE, PIPE, FOLDER = stat.S_IFLNK, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFDIR


def packed(*entries: tuple[str, bytes], kind: int = 0, mode: int = 0o644, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP with these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, text in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = how
            entry.external_attr = (kind | mode) << 16
            archive.writestr(entry, text)
    return file.getvalue()


def refused(content: bytes, folder: Path) -> str:
    """Why it is refused; nothing is left of it."""
    with pytest.raises(NodeError) as failure:
        unpack(content, folder / "tls")
    assert failure.value.code == "ERR-MGR-005"
    assert sorted(folder.rglob("*")) in ([], [folder / "tls"])
    return failure.value.message


def test_a_proper_bundle_is_unpacked_for_this_user_only(tmp_path: Path) -> None:
    content = packed(("ca.crt", b"CA"), ("deep/er/client.key", b"KEY"), mode=0o777)
    folder = unpack(content, tmp_path / "tls")
    assert (folder / "ca.crt").read_bytes() == b"CA"
    assert (folder / "deep/er/client.key").read_bytes() == b"KEY"
    for path in (tmp_path / "tls").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_folders_may_have_entries_of_their_own(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/", b"")
        archive.writestr("a/ca.crt", b"CA")
    assert (unpack(file.getvalue(), tmp_path) / "a" / "ca.crt").read_bytes() == b"CA"


def test_the_same_content_is_unpacked_once(tmp_path: Path) -> None:
    content = packed(("ca.crt", b"CA"))
    folder = unpack(content, tmp_path)
    inode = (folder / "ca.crt").stat().st_ino
    assert unpack(content, tmp_path) == folder
    assert (folder / "ca.crt").stat().st_ino == inode


def test_old_contents_go_but_not_the_one_in_use_nor_what_was_just_left(tmp_path: Path) -> None:
    first = unpack(packed(("ca.crt", b"0")), tmp_path)
    os.utime(first, (1, 1))
    (tmp_path / ".new-of-a-dead-process").mkdir()
    folders = [unpack(packed(("ca.crt", bytes([65 + n]))), tmp_path, in_use=first) for n in range(6)]
    assert first.is_dir() and folders[-1].is_dir()
    assert len(list(tmp_path.iterdir())) <= bundle.FOLDERS_KEPT + 1


EVIL_NAMES = [
    "../ca.crt",
    "a/../../ca.crt",
    "/etc/ca.crt",
    "//x/ca.crt",
    "./ca.crt",
    "a//ca.crt",
    "..",
    "a/..",
    "C:\\ca.crt",
    "C:/ca.crt",
    "..\\ca.crt",
    "a\\..\\..\\ca.crt",
    "\\\\host\\ca.crt",
    "~/ca.crt",
    ".hidden",
    "-rf",
    "a\x00b",
    "a\nb",
    "\u202egpj.crt",
    "x" * 200,
    "/".join("abcdefghijkl"),
    " ca.crt",
    "",
]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_an_entry_that_would_land_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    content = packed(("ca.crt", b"CA"), (name or "x", b"evil"))
    if not name:
        content = content.replace(b"x", b"")
    if "\x00" in name:  # the library cuts such a name when it writes
        content = packed(("ca.crt", b"CA"), ("a@b", b"evil")).replace(b"a@b", b"a\x00b")
    refused(content, outside)
    assert list(tmp_path.iterdir()) == [outside]


@pytest.mark.parametrize("kind", [LINK, DEVICE, PIPE, FOLDER, stat.S_IFCHR, stat.S_IFSOCK])
def test_only_files_are_unpacked(tmp_path: Path, kind: int) -> None:
    assert "neither a file nor a folder" in refused(packed(("ca.crt", b"/etc/passwd"), kind=kind), tmp_path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((), "empty"),
        ((("a", b"1"), ("a", b"2")), "two of its entries"),
        ((("a", b"1"), ("a/b", b"2")), "lies in a file"),
        (tuple((f"f{n}", b"") for n in range(bundle.ENTRIES_MAX + 1)), "entries, more than"),
        ((("a", os.urandom(bundle.ENTRY_MAX_BYTES + 1)),), "larger than"),
        (tuple((f"f{n}", os.urandom(bundle.ENTRY_MAX_BYTES)) for n in range(5)), "unpacks to more than"),
        ((("a", bytes(1 << 19)),), "times its size"),
    ],
)
def test_a_bundle_without_measure_is_refused(tmp_path: Path, entries: Entries, words: str) -> None:
    assert words in refused(packed(*entries), tmp_path)


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    honest = packed(("ca.crt", bytes(range(256)) * 8))
    for size in (1, 100, 1 << 19):
        lying = honest.replace(struct.pack("<L", 2048), struct.pack("<L", size))
        assert lying != honest
        refused(lying, tmp_path)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packings_are_refused(tmp_path: Path, how: int) -> None:
    assert "unusual" in refused(packed(("ca.crt", b"CA"), how=how), tmp_path)


BROKEN = [b"", b"PK", b"PK\x05\x06" + bytes(18), b"<html>", bytes(1000), packed(("a", b"1"))[:-5]]


@pytest.mark.parametrize("content", BROKEN)
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(content, tmp_path)


def test_a_bundle_that_was_damaged_on_the_way_is_refused_or_whole(tmp_path: Path) -> None:
    chance = random.Random(11)
    good = packed(("ca.crt", b"CA of the test" * 9), ("client.key", b"KEY of the test" * 9))
    for number in range(2000):
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        around = tmp_path / str(number % 50)
        try:
            folder = unpack(bytes(damaged), around)
        except NodeError as error:
            assert error.code == "ERR-MGR-005"
            continue
        assert {path.parent for path in folder.rglob("*") if path.is_file()} >= set()
        for path in folder.rglob("*"):
            assert path.resolve().is_relative_to(folder.resolve()) and not path.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} <= {str(number) for number in range(50)}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file in the way")
    with pytest.raises(NodeError) as failure:
        unpack(packed(("ca.crt", b"CA")), tmp_path / "tls")
    assert failure.value.code == "ERR-MGR-005"
