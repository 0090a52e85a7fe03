"""The certificates that the Job Manager sends: a ZIP of strangers, unpacked into a folder of its own or not at all.

Each content has a folder named after it, which appears by renaming: a connection that is just being made sees one whole
set of certificates, the old or the new. Protocol job-item.md, sections 2.7 and 9.2, R9.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from job_item.errors import NodeError

ENTRIES_MAX = 64
ENTRY_MAX_BYTES = 1 << 20
WHOLE_MAX_BYTES = 4 << 20
RATIO_MAX = 100
"""How many times as large as it is packed an entry may be."""
FOLDERS_KEPT = 3
"""Of so many contents the folders stay: jobs that still run may hold a connection with the one before."""
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ @+=,-]{0,99}")
_DEPTH_MAX = 8
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def unpack(content: bytes, around: Path, in_use: Path | None = None) -> Path:
    """Unpack `content` into a folder below `around`, which is made where it is missing; the same content only once.

    `in_use` is a folder that stays, however old it is.

    Returns the folder; files have mode 0600, folders 0700. Raises NodeError (ERR-MGR-005), nothing being left then.
    """
    folder = around / hashlib.sha256(content).hexdigest()[:32]
    if folder.is_dir():
        return folder
    try:
        around.mkdir(mode=0o700, parents=True, exist_ok=True)
        around.chmod(0o700)
        _tidy(around, in_use)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=around))
        try:
            _write_all(content, draft)
            draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        if folder.is_dir():
            return folder  # another process was faster
        raise NodeError("ERR-MGR-005", f"The certificates cannot be kept in {around}: {error.strerror}.") from error
    _sync(around)
    return folder


def _write_all(content: bytes, draft: Path) -> None:
    """Raises NodeError, OSError."""
    room = WHOLE_MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry, parts in _judged(archive.infolist()):
                _make_folders(draft, parts if entry.is_dir() else parts[:-1])
                if not entry.is_dir():
                    text = _read(archive, entry, room)
                    room -= len(text)
                    _write(draft.joinpath(*parts), text)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise _refused(f"it is no proper ZIP ({type(error).__name__})") from error
    _sync(draft)


def _judged(entries: list[zipfile.ZipInfo]) -> Iterator[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """All entries with the parts of their names, judged before any is written."""
    if not entries:
        raise _refused("it is empty")
    if len(entries) > ENTRIES_MAX:
        raise _refused(f"it has {len(entries)} entries, more than {ENTRIES_MAX}")
    judged: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    for entry in entries:
        parts = _parts(entry)
        if parts in judged:
            raise _refused(f"two of its entries are {'/'.join(parts)!r}")
        judged[parts] = entry
    for parts in judged:
        if any(parts[:end] in judged and not judged[parts[:end]].is_dir() for end in range(1, len(parts))):
            raise _refused(f"{'/'.join(parts)!r} lies in a file")
    if sum(entry.file_size for entry in entries) > WHOLE_MAX_BYTES:
        raise _refused(f"it unpacks to more than {WHOLE_MAX_BYTES >> 20} MiB")
    yield from ((entry, parts) for parts, entry in judged.items())


def _parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """The parts of an entry's name, where it may be unpacked. Raises NodeError."""
    name = entry.orig_filename
    parts = tuple(name.removesuffix("/").split("/"))
    if not all(map(_PART.fullmatch, parts)) or len(parts) > _DEPTH_MAX:
        raise _refused(f"the name {name[:80]!r} is not allowed in it")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        raise _refused(f"{name!r} is neither a file nor a folder")
    if entry.flag_bits & _ENCRYPTED:
        raise _refused(f"{name!r} is encrypted")
    if entry.compress_type not in _PACKINGS:
        raise _refused(f"{name!r} is packed in an unusual way")
    if entry.file_size > ENTRY_MAX_BYTES:
        raise _refused(f"{name!r} is larger than {ENTRY_MAX_BYTES >> 20} MiB")
    if entry.file_size > RATIO_MAX * max(entry.compress_size, 1):
        raise _refused(f"{name!r} unpacks to more than {RATIO_MAX} times its size")
    return parts


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: int) -> bytes:
    """The content of an entry; what it says of its own size is not believed."""
    limit = min(ENTRY_MAX_BYTES, room, entry.file_size)
    with archive.open(entry) as stream:
        text = stream.read(limit + 1)
    if len(text) > limit:
        raise _refused(f"{entry.filename!r} is larger than it says, or the whole is larger than allowed")
    return text


def _make_folders(place: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        place = place / part
        place.mkdir(mode=0o700, exist_ok=True)


def _write(place: Path, text: bytes) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)


def _tidy(around: Path, in_use: Path | None) -> None:
    """Remove what an unpacking that was killed has left, and the folders of long ago."""
    for draft in around.glob(".new-*"):
        shutil.rmtree(draft, ignore_errors=True)
    folders = [place for place in around.iterdir() if place != in_use and place.is_dir() and not place.is_symlink()]
    for old in sorted(folders, key=lambda place: place.stat().st_mtime, reverse=True)[FOLDERS_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refused(why: str) -> NodeError:
    return NodeError("ERR-MGR-005", f"The certificates of the Job Manager are refused: {why}.")
