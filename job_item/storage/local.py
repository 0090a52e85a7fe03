"""A storage in a folder of this machine.

Each step of a name is opened from the folder before it and never through a link, so that nothing leads out of the
storage, not even while somebody changes it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from job_item.errors import NodeError
from job_item.sdk.filebody import OpenFile, Stream
from job_item.storage.arriving import arriving
from job_item.storage.display import displayed
from job_item.storage.failure import of_system
from job_item.storage.names import UNFINISHED, check_name
from job_item.storage.seam import Stored, Watch
from job_item.storage.target import file_for

BLOCK_BYTES = 1 << 20
"""What is read and written in one go."""


class LocalStorage:
    """Files below a folder. See `seam.Storage`; what a file is (`content_type`) its name alone says here."""

    def __init__(self, folder: Path) -> None:
        self._root = folder

    @property
    def uri(self) -> str:
        """The folder, as `file:///folder`."""
        return f"file://{quote(str(self._root))}".rstrip("/")

    def upload(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        content_type: str | None = None,  # noqa: ARG002 - a folder has no place for it
        watch: Watch | None = None,
    ) -> Stored:
        """See `seam.Storage`."""
        name = check_name(Path(path).name if name is None else name)
        with (
            OpenFile(path) as file,
            displayed("upload", name, file.size_bytes, watch) as seen,
            self._refusals(name),
            self._folder_of(name, make=True) as (folder, last),
            arriving(folder, last) as target,
        ):
            source = Stream(file, seen)
            while block := source.read(BLOCK_BYTES):
                target.write(block)
        return self._stored(name, target.size_bytes)

    def write(
        self,
        name: str,
        content: bytes,
        *,
        content_type: str | None = None,  # noqa: ARG002 - a folder has no place for it
    ) -> Stored:
        """See `seam.Storage`."""
        check_name(name)
        with (
            self._refusals(name),
            self._folder_of(name, make=True) as (folder, last),
            arriving(folder, last) as target,
        ):
            target.write(content)
        return self._stored(name, len(content))

    def download(self, name: str, path: str | os.PathLike[str], *, watch: Watch | None = None) -> Path:
        """See `seam.Storage`."""
        check_name(name)
        with self._opened(name) as source:
            size_bytes = os.fstat(source).st_size
            with displayed("download", name, size_bytes, watch) as seen, file_for(Path(path), name) as (target, landed):
                while block := self._read(source, name):
                    target.write(block)
                    seen(target.size_bytes, size_bytes)
        return landed

    def list(self, under: str = "") -> Iterator[Stored]:
        """See `seam.Storage`. Links are left out, as they are not followed."""
        folder = f"{check_name(under.rstrip('/'))}/" if under else ""
        with self._refusals(folder or self.uri):
            try:
                with self._folder_of(f"{folder}file") as (top, _):
                    yield from self._below(top, folder)
            except FileNotFoundError:
                return

    def delete(self, name: str) -> None:
        """See `seam.Storage`. Folders stay."""
        check_name(name)
        with self._refusals(name):
            try:
                with self._folder_of(name) as (folder, last):
                    os.close(_open_file(folder, last))
                    os.unlink(last, dir_fd=folder)
            except FileNotFoundError:
                return

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        with self._refusals(name), self._folder_of(name) as (folder, last):
            source = _open_file(folder, last)
        try:
            yield source
        finally:
            os.close(source)

    def _read(self, source: int, name: str) -> bytes:
        with self._refusals(name):
            return os.read(source, BLOCK_BYTES)

    def _below(self, top: int, folder: str) -> Iterator[Stored]:
        for way, _, files, descriptor in os.fwalk(".", dir_fd=top, follow_symlinks=False, onerror=_fail):
            for name in files:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and not name.startswith(UNFINISHED):
                    yield self._stored(folder + os.path.normpath(f"{way}/{name}"), found.st_size)

    def _stored(self, name: str, size_bytes: int) -> Stored:
        return Stored(name, f"{self.uri}/{quote(name, errors='surrogateescape')}", size_bytes)

    @contextmanager
    def _folder_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that holds a name, from the root on; gives its descriptor and the last part of the name."""
        *way, last = name.split("/")
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in way:
                inner = _open_folder(folder, part, make=make)
                os.close(folder)
                folder = inner
            yield folder, last
        finally:
            os.close(folder)

    @contextmanager
    def _refusals(self, name: str) -> Iterator[None]:
        """Say in words what the system refuses."""
        try:
            yield
        except OSError as error:
            raise of_system(error, name, str(self._root)) from error


def _open_folder(folder: int, part: str, *, make: bool) -> int:
    """Open a folder within another. What is none is missing, unless one has to be there."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=folder)
    _refuse_link(folder, part)
    try:
        return os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except NotADirectoryError as error:
        if make:
            raise
        raise FileNotFoundError(part) from error


def _open_file(folder: int, name: str) -> int:
    """Open a regular file; what is none is taken for missing. Raises FileNotFoundError, `NodeError` (ERR-STG-002)."""
    _refuse_link(folder, name)
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(name)
    return descriptor


def _refuse_link(folder: int, part: str) -> None:
    """Say of a link that it is one; that none is followed, the opening itself sees to."""
    if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
        raise NodeError("ERR-STG-002", f"{part!r} is a link, and links in a storage are not followed.")


def _fail(error: OSError) -> None:
    raise error
