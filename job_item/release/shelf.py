"""The folder of versions, `<state_dir>/versions`: artifacts, the release files they came with, and the marker.

Everything in it appears whole or not at all. The process that guards a version reads it too, so this imports little.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from job_item.errors import NodeError, Unavailable
from job_item.release.marker import Marker, Staged, parse_marker
from job_item.release.version import is_version, rank

RELEASE_MAX_BYTES = 1 << 16
_MARKER_MAX_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_DRAFT = ".draft-"
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Shelf:
    """The versions of one node."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "versions"

    def artifact(self, version: str) -> Path:
        """Where the artifact of a version lies."""
        return self.folder / version / "job_item.pyz"

    def release(self, version: str) -> Path:
        """Where the release file of a version lies."""
        return self.folder / version / "release"

    def read_release(self, version: str) -> bytes:
        """The release file that a version came with. Raises NodeError (ERR-REL-018)."""
        try:
            with self.release(version).open("rb") as stream:
                return stream.read(RELEASE_MAX_BYTES)
        except OSError as error:
            raise NodeError("ERR-REL-018", f"{self.release(version)} cannot be read: {_why(error)}.") from error

    def versions(self) -> tuple[str, ...]:
        """All versions that lie here, the oldest first."""
        with suppress(FileNotFoundError):
            return tuple(sorted((path.name for path in self.folder.iterdir() if is_version(path.name)), key=rank))
        return ()

    def is_whole(self, staged: Staged) -> bool:
        """Whether the artifact of a version lies here and is the one that was taken."""
        import hashlib  # 5 MB of libcrypto

        digest = hashlib.sha256()
        try:
            with self.artifact(staged.version).open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
        except OSError:
            return False
        return digest.hexdigest() == staged.sha256

    def read(self) -> Marker:
        """The marker; an empty one where there is none. Raises NodeError (ERR-REL-018) where it cannot be read."""
        try:
            with self._marker.open("rb") as stream:
                return parse_marker(stream.read(_MARKER_MAX_BYTES))
        except FileNotFoundError:
            return Marker()
        except (OSError, ValueError) as error:
            raise NodeError("ERR-REL-018", f"{self._marker} cannot be read: {_why(error)}.") from error

    def write(self, marker: Marker) -> None:
        """Keep a marker, on the disk when this returns. Raises NodeError (ERR-REL-012)."""
        draft = self._marker.with_name(f"{_DRAFT}{os.getpid()}.json")
        try:
            self.prepare()
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(marker.to_bytes())
                stream.flush()
                os.fsync(descriptor)
            draft.replace(self._marker)
            sync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise not_kept(self._marker, error) from error

    def change(self, step: Callable[[Marker], Marker]) -> Marker:
        """Put a new marker in the place of the one that is there, nobody else changing it meanwhile; returns it.

        Raises NodeError (ERR-REL-012, ERR-REL-018).
        """
        try:
            self.prepare()
            descriptor = os.open(self.folder / "current.lock", _LOCK, 0o600)
        except OSError as error:
            raise not_kept(self._marker, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            marker = step(self.read())
            self.write(marker)
        finally:
            os.close(descriptor)
        return marker

    def remove(self, version: str) -> None:
        """Remove a version that nothing names."""
        _remove(self.folder / version)

    def prepare(self) -> None:
        """Make the folder where it is missing, mode 0700. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder for oneself. Raises Unavailable (ERR-REL-015) where another update goes on."""
        try:
            self.prepare()
            descriptor = os.open(self.folder / "lock", _LOCK, 0o600)
        except OSError as error:
            raise not_kept(self.folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Unavailable("ERR-REL-015", "Another update of this node is being made.") from error
        finally:
            os.close(descriptor)

    @contextmanager
    def draft(self, version: str) -> Iterator[Path]:
        """A folder in which a version is put together; it takes its place when the context ends well.

        Hold the lock. Drafts that a kill has left behind are removed. Raises NodeError (ERR-REL-012) for a full disk.
        """
        place = self.folder / f"{_DRAFT}{version}"
        try:
            self.prepare()
            for left in self.folder.glob(f"{_DRAFT}*"):
                _remove(left)
            place.mkdir(mode=0o700)
            yield place
            sync_folder(place)
            target = self.folder / version
            if target.exists():
                target.replace(self.folder / f"{_DRAFT}{version}.old")
            place.replace(target)
            sync_folder(self.folder)
        except OSError as error:
            raise not_kept(place, error) from error
        finally:
            for left in self.folder.glob(f"{_DRAFT}{version}*"):
                _remove(left)

    def prune(self, keep: int, marker: Marker) -> tuple[str, ...]:
        """Remove the oldest versions but `keep`; those that the marker names stay in any case. Returns what went."""
        named = {staged.version for staged in (marker.current, marker.previous) if staged is not None}
        others = [version for version in self.versions() if version not in named]
        room = max(0, keep - len(named))
        gone = tuple(others[: len(others) - room] if room < len(others) else ())
        for version in gone:
            _remove(self.folder / version)
        return gone

    @property
    def _marker(self) -> Path:
        return self.folder / "current.json"


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_kept(path: Path, error: OSError) -> NodeError:
    """What is said where something cannot be written here."""
    remedy = "Make room on the disk of the state folder." if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    return NodeError("ERR-REL-012", f"The update cannot be kept in {path.parent}: {_why(error)}.", remedy)


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
