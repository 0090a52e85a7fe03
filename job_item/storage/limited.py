"""A storage that takes so many files and no more: what is above a limit would be there, and nobody could fetch it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from job_item.errors import NodeError
from job_item.storage.names import check_name
from job_item.storage.seam import Storage, Stored, Watch

LOOK = 1_000
"""How many names of what is there already are read at most: one page of S3."""


class LimitedStorage:
    """`inner` with `limit` files at most, those included that were there before. See `seam.Storage`.

    The file that would be one too many is refused before a byte of it is sent (ERR-STG-012). Another file in place of
    one is none more, and one that is deleted makes room. May be used by several threads at once.
    """

    def __init__(self, inner: Storage, limit: int) -> None:
        self._inner = inner
        self._limit = limit
        self._lock = threading.Lock()
        self._names: set[str] | None = None

    @property
    def uri(self) -> str:
        """See `seam.Storage`."""
        return self._inner.uri

    def upload(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        content_type: str | None = None,
        watch: Watch | None = None,
    ) -> Stored:
        """See `seam.Storage`. Raises ERR-STG-012 too."""
        name = Path(path).name if name is None else name
        with self._place_for(name):
            return self._inner.upload(path, name, content_type=content_type, watch=watch)

    def write(self, name: str, content: bytes, *, content_type: str | None = None) -> Stored:
        """See `seam.Storage`. Raises ERR-STG-012 too."""
        with self._place_for(name):
            return self._inner.write(name, content, content_type=content_type)

    def download(self, name: str, path: str | os.PathLike[str], *, watch: Watch | None = None) -> Path:
        """See `seam.Storage`."""
        return self._inner.download(name, path, watch=watch)

    def list(self, under: str = "") -> Iterator[Stored]:
        """See `seam.Storage`."""
        return self._inner.list(under)

    def delete(self, name: str) -> None:
        """See `seam.Storage`."""
        self._inner.delete(name)
        with self._lock:
            if self._names is not None:
                self._names.discard(name)

    @contextmanager
    def _place_for(self, name: str) -> Iterator[None]:
        """Keep a place for a file while it comes, and after that if it has come."""
        check_name(name)
        with self._lock:
            if self._names is None:
                self._names = self._found()
            is_new = name not in self._names
            if is_new and len(self._names) >= self._limit:
                raise NodeError(
                    "ERR-STG-012", f"{name} would be one file too many: clients can fetch {self._limit} of a job."
                )
            self._names.add(name)
        try:
            yield
        except BaseException:
            if is_new:
                with self._lock:
                    self._names.discard(name)
            raise

    def _found(self) -> set[str]:
        """What earlier attempts left; nothing where one may put files and not list them."""
        try:
            return {stored.name for stored in islice(self._inner.list(), LOOK)}
        except NodeError as error:
            if error.code != "ERR-STG-004":
                raise
            return set()
