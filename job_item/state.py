"""The state folder of a node: its locks, and `node.json`, by which the command line finds the node that runs.

Whoever writes `node.json` holds the lock `node`.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from job_item.errors import NodeError, Unavailable
from job_item.flag import is_raised, raise_flag

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What others may know of the running node. `started_at` is seconds since the epoch."""

    pid: int
    url: str
    token: str | None
    version: str
    started_at: float


class Lock:
    """A lock that is held until `release()` or until its process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor that holds the lock."""
        return self._descriptor

    def release(self) -> None:
        """Let others have the lock. The file stays: removing it would open a race."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class StateFolder:
    """The folder where a node keeps what must survive it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder with mode 0700 where it is missing.

        Raises NodeError when it cannot be made or written, or when others may write in it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = self.path.stat().st_mode
            if mode & _OTHERS_MAY_WRITE:
                raise NodeError(
                    "ERR-SUP-007",
                    f"Others may write in the state folder {self.path} (mode {stat.S_IMODE(mode):04o}).",
                    f"Run `chmod 700 {self.path}`, or name another folder as `state_dir`.",
                )
            if not any(self.path.iterdir()):
                # A folder that a service manager made for us; one that is in use keeps the mode its owner gave it.
                self.path.chmod(0o700)
        except OSError as error:
            raise _unusable(self.path, error) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise NodeError("ERR-SUP-006", f"The state folder {self.path} is not writable.")

    def lock(self, name: str) -> Lock:
        """Take the lock `<name>.lock` and write our pid into it. Raises Unavailable when another process holds it."""
        path = self.path / f"{name}.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            is_ours = raise_flag(descriptor)
            holder = "" if is_ours else os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, error) from error
        if not is_ours:
            os.close(descriptor)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise Unavailable(
                "ERR-SUP-005", f"The state folder {self.path} is already in use by {who} (lock `{name}`)."
            )
        with suppress(OSError):  # for people to read only, so a full disk does not matter; always as long, in place
            os.write(descriptor, f"{os.getpid():<20}".encode())
        return Lock(descriptor)

    def holder(self, name: str) -> int | None:
        """The pid of the process that holds the lock `<name>.lock`, 0 where it has not written it yet; None where
        nobody does. Who takes it meanwhile gets it.
        """
        with suppress(OSError), (self.path / f"{name}.lock").open("rb") as file:
            if is_raised(file.fileno()):
                pid = file.read(20).strip()
                return int(pid) if pid.isdigit() else 0
        return None

    def write_node(self, info: NodeInfo) -> None:
        """Tell others of this node; they see the whole file or none. Raises NodeError."""
        draft = self.path / "node.json.new"
        try:
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(info), file)
            draft.replace(self._node_file)
        except OSError as error:
            raise _unusable(self._node_file, error) from error

    def read_node(self) -> NodeInfo | None:
        """The node that runs on this folder, as it told of itself; None where there is none that we may know."""
        try:
            return NodeInfo(**json.loads(self._node_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def remove_node(self) -> None:
        """Take `node.json` away: the node has ended in good order.

        Where the folder takes no changes it stays, and its pid tells that the node is gone.
        """
        with suppress(OSError):
            self._node_file.unlink()

    @property
    def _node_file(self) -> Path:
        return self.path / "node.json"


def exec_log(state_dir: Path, key: str) -> Path:
    """Where the output of an exec is kept. What is not a letter, digit, `.`, `_` or `-` is written as its code."""
    name = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else f"%{ord(char):x}" for char in key)
    return state_dir / "execs" / f"{name}.log"


def _unusable(path: Path, error: OSError) -> NodeError:
    return NodeError("ERR-SUP-006", f"The state folder cannot be used: {path}: {error.strerror}.")
