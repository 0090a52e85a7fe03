"""Who this node is: `WORKER_ID`, else `identity_id`, else `JOB_ITEM_IDENTITY_ID`, else made once and kept.

The Go worker made a new identity at every start and reload (protocol job-item.md, section 9.4, O20).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from job_item.errors import NodeError
from job_item.job import new_task_id

if TYPE_CHECKING:
    from job_item.load import Loaded

_FILE_NAME = "identity"
_LENGTH_MAX = 128


def resolve_identity(loaded: Loaded, environ: Mapping[str, str]) -> str:
    """The identity of the node; the state folder must be there where none is set.

    Raises `NodeError` (ERR-HST-002) when the one that is kept cannot be read or written.
    """
    settled = environ.get("WORKER_ID") or loaded.settings.identity_id or environ.get("JOB_ITEM_IDENTITY_ID")
    return settled or keep_identity(loaded.state_dir)


def keep_identity(state_dir: Path) -> str:
    """Read the identity that is kept in `state_dir`, or make one (UUID version 7) and keep it, mode 0600.

    Raises `NodeError` (ERR-HST-002).
    """
    file = state_dir / _FILE_NAME
    try:
        return _read(file) or _make(file)
    except (OSError, ValueError) as error:
        raise NodeError("ERR-HST-002", f"The identity cannot be kept in {file}: {error}.") from error


def _read(file: Path) -> str | None:
    """The identity in the file; None where there is no file or, after a power cut, an empty one."""
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return None
    if len(text) > _LENGTH_MAX or not text.isprintable() or " " in text:
        raise ValueError("the file holds something else")
    return text or None


def _make(file: Path) -> str:
    """Write a new identity; the file appears with its whole content or not at all."""
    identity = new_task_id()
    draft = file.with_name(f".{_FILE_NAME}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(identity + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    return identity
