"""Files that scripts have left with the node for the Job Manager: each in a folder of its own until it is delivered."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from job_item.errors import BadMessage, Unavailable

NAME_LIMIT_BYTES = 255
PLACE = ".location"
"""The suffix of the file that holds the address of an upload that has begun."""


class Parcels:
    """The folder of them, and how much they take together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """What all of them take."""
        return sum(self._sizes.values())

    def begin(self, name: str, size_bytes: int, limit_bytes: int) -> Parcel:
        """Make room for a file. Raises `BadMessage` (ERR-OUT-002), `Unavailable` (ERR-OUT-003, ERR-OUT-004)."""
        base = name.replace("\\", "/").rpartition("/")[2]
        if base in ("", ".", "..") or "\0" in base or len(os.fsencode(base)) > NAME_LIMIT_BYTES:
            raise BadMessage("ERR-OUT-002", f"A file cannot be called {base[:80]!r}.")
        with self._lock:
            if self.size_bytes + size_bytes > limit_bytes:
                raise Unavailable(
                    "ERR-OUT-003", f"The files that wait for the Job Manager take {self.size_bytes} bytes already."
                )
            number = uuid.uuid4().hex
            self._sizes[number] = size_bytes
        try:
            place = self._folder / number
            place.mkdir(parents=True, mode=0o700)
            return Parcel(self, number, place / base)
        except OSError as error:
            self.drop(number)
            raise _refused(error) from error

    def path(self, number: str) -> Path:
        """Where the file of a parcel is. Raises `FileNotFoundError`."""
        for found in (self._folder / number).iterdir():
            return found
        raise FileNotFoundError(number)

    def location(self, number: str) -> str | None:
        """The address of the upload that has begun for a parcel."""
        try:
            return (self._folder / f"{number}{PLACE}").read_text() or None
        except OSError:
            return None

    def remember(self, number: str, location: str) -> None:
        """Keep that address; without it the upload begins anew after a restart."""
        with suppress(OSError):
            written = self._folder / f"{number}{PLACE}.new"
            written.write_text(location)
            written.replace(self._folder / f"{number}{PLACE}")

    def drop(self, number: str) -> None:
        """It is delivered, or nobody wants it."""
        self._sizes.pop(number, None)
        shutil.rmtree(self._folder / number, ignore_errors=True)
        with suppress(OSError):
            (self._folder / f"{number}{PLACE}").unlink(missing_ok=True)

    def keep(self, numbers: Iterable[str]) -> None:
        """At the start: those of the outbox are kept, all else goes: its task is forgotten, or it never came whole."""
        wanted = set(numbers)
        with suppress(OSError):
            for entry in list(self._folder.iterdir()):
                number = entry.name.partition(".")[0]
                if number not in wanted:
                    self.drop(number)
                elif entry.is_dir():
                    self._sizes[number] = sum(file.stat().st_size for file in entry.iterdir())


class Parcel:
    """A file that is being left here; `with` takes it away again unless it was sealed."""

    def __init__(self, parcels: Parcels, number: str, path: Path) -> None:
        self.number = number
        self.path = path
        self._parcels = parcels
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._is_sealed = False

    def __enter__(self) -> Parcel:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        if not self._is_sealed:
            self._parcels.drop(self.number)

    def write(self, data: bytes) -> None:
        """Add bytes. Raises `Unavailable` (ERR-OUT-004)."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise _refused(error) from error

    def flush(self) -> None:
        """See to it that the disk has them. Raises `Unavailable` (ERR-OUT-004)."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _refused(error) from error

    def seal(self) -> None:
        """It stays: the journal knows of it."""
        self._is_sealed = True


def _refused(error: OSError) -> Unavailable:
    return Unavailable("ERR-OUT-004", f"The disk does not take the file: {error.strerror or error}.")
