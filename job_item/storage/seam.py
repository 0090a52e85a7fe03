"""The seam between those who have files and where the files go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Watch = Callable[[int, int], None]
"""Is told how many bytes of a file are through, and its size; what it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a storage. `name` is relative to the storage, `uri` is whole."""

    name: str
    uri: str
    size_bytes: int


class Storage(Protocol):
    """Files below one URI, each with a relative name such as `charts/depth.png`. Whatever its size, a file passes in
    pieces and is there whole or not at all. Made by `open_storage`, in the process that uses it.

    A name that leads out of the storage is refused (ERR-STG-002). All methods raise `job_item.errors.NodeError`:
    ERR-STG-003 (as `Unavailable`: nobody answers, or the connection broke, at every try), ERR-STG-004 (not allowed),
    ERR-STG-005 (no such bucket), ERR-STG-008 (no credentials), ERR-STG-009 (refused for another reason).
    """

    @property
    def uri(self) -> str:
        """What all names are below, without a slash at the end."""

    def upload(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        content_type: str | None = None,
        watch: Watch | None = None,
    ) -> Stored:
        """Put a local file into the storage, in place of what has this name; without a `name` it keeps its own.

        `content_type` is guessed from the name where it is not given. `watch` is told how far it has come; without one
        a large file shows a bar on a terminal, else a line in the log every ten seconds. Raises ERR-REP-006 (the file
        cannot be read), ERR-REP-007 (it changed meanwhile), ERR-STG-007 (no room left).
        """

    def write(self, name: str, content: bytes, *, content_type: str | None = None) -> Stored:
        """Put a few bytes into the storage, in place of what has this name. Raises ERR-STG-007 (no room left)."""

    def download(self, name: str, path: str | os.PathLike[str], *, watch: Watch | None = None) -> Path:
        """Fetch a file to a local path, in place of what is there; a folder as `path` takes it under its own name.

        Gives the path. Raises ERR-STG-006 (there is no such file), ERR-STG-007 (no room left here).
        """

    def list(self, under: str = "") -> Iterator[Stored]:
        """All files, or those below a folder, in no promised order; a folder that is not there holds none."""

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no failure."""
