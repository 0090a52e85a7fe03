"""What a handler is given besides its input: who it works for, where things are, and the wish that it should end."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from job_item.sdk.progress import Progress

if TYPE_CHECKING:
    from job_item.handlers.clients import ApiClient
    from job_item.storage import Storage


class Cancelled(Exception):  # noqa: N818 - says what has happened, not that something is wrong
    """The job is to end: raised by `CancelToken.check`, caught by nobody but the node."""


class CancelToken:
    """Whether the job is to end: somebody cancelled it, its time is over, or the node stops.

    A handler that looks here can put things in order; one that does not is killed after the job's `kill_grace`.
    What a wait needs is made for the first one: most jobs never wait, and it takes longer than a small job.
    """

    __slots__ = ("_event", "_is_set", "_lock")

    def __init__(self) -> None:
        self._is_set = False
        self._event: threading.Event | None = None
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        """Whether it is."""
        return self._is_set

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep, but no longer than until the job is to end; tells whether it is."""
        with self._lock:  # of those who wait; `set` comes from a signal and takes no lock
            if self._event is None:
                self._event = threading.Event()
        if self._is_set:
            self._event.set()
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise `Cancelled` when the job is to end."""
        if self._is_set:
            raise Cancelled("the job is to end")

    def set(self) -> None:
        """Say that it is to end. The node does."""
        self._is_set = True
        if self._event is not None:
            self._event.set()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the source of a job knows of it, and where the node keeps things. Empty where nobody said it."""

    storage_uri: str | None = None
    """Where the files of this assignment go."""
    files_max: int | None = None
    """How many files the storage may hold."""
    assignment_id: str | None = None
    job_id: str | None = None
    """As the source names the job; else it is the task id."""
    deadline_at: float | None = None
    """When the source stops waiting, in seconds since the epoch."""
    aws_region: str | None = None
    s3_endpoint: str | None = None
    cache_path: str | None = None
    data_path: str | None = None
    api_endpoint: str | None = None
    api_token: str | None = None
    """The one that the job begins with."""
    api_tokens: str | None = None
    """The file in which the node keeps its tokens, for when that one ends."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What makes the two clients of a context, when a handler asks for them for the first time."""

    open_storage: Callable[[Facts], Storage]
    open_api: Callable[[Facts], ApiClient]


@dataclass(frozen=True, slots=True)
class Errand:
    """One job as its hand has it."""

    task_id: str
    type: str
    attempt: int
    timeout_s: float | None = None
    facts: Facts = Facts()


class HandlerContext:
    """What a handler may ask for. `cancel` is its `CancelToken`, `logger` writes to the output of the job."""

    def __init__(self, errand: Errand, kit: Kit, say: Callable[[str], None]) -> None:
        """Parameters: `kit` makes the clients, `say` sends a notification."""
        self._errand = errand
        self._kit = kit
        self._begun_s = time.monotonic()
        self._folder: Path | None = None
        self.cancel = CancelToken()
        self._say = say

    task_id = property(lambda self: self._errand.task_id, doc="The identity of the job on every wire.")
    type = property(lambda self: self._errand.type, doc="The type of the job: its event.")
    attempt = property(lambda self: self._errand.attempt, doc="Which run of the job this is, from 1.")
    storage_uri = property(lambda self: self._errand.facts.storage_uri, doc="Where the files of this run belong.")
    assignment_id = property(lambda self: self._errand.facts.assignment_id, doc="The number of this run at its source.")
    aws_region = property(lambda self: self._errand.facts.aws_region, doc="The region of the storage.")
    s3_endpoint = property(lambda self: self._errand.facts.s3_endpoint, doc="The address of an S3 server of one's own.")
    cache_path = property(lambda self: self._errand.facts.cache_path, doc="The folder for what may be made again.")
    data_path = property(lambda self: self._errand.facts.data_path, doc="The folder of the data that jobs work on.")

    @property
    def job_id(self) -> str:
        """The job as its source names it."""
        return self._errand.facts.job_id or self._errand.task_id

    @property
    def deadline(self) -> datetime | None:
        """When this run is to be over: by the job's `timeout`, or because its source stops waiting."""
        left_s = self.remaining_s
        return None if left_s is None else datetime.fromtimestamp(time.time() + left_s, UTC)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until then; None where there is no end."""
        errand, found = self._errand, []
        if errand.timeout_s is not None:
            found.append(self._begun_s + errand.timeout_s - time.monotonic())
        if errand.facts.deadline_at is not None:
            found.append(errand.facts.deadline_at - time.time())
        return min(found, default=None)

    @cached_property
    def logger(self) -> logging.Logger:
        """Writes to the output of the job."""
        return logging.getLogger(f"job_item.handlers.{self._errand.type}")

    @cached_property
    def storage(self) -> Storage:
        """The storage, opened when it is first asked for. Raises `NodeError`."""
        return self._kit.open_storage(self._errand.facts)

    @cached_property
    def api(self) -> ApiClient:
        """The client of the API that the job came from, logged in. Raises `NodeError` (ERR-HND-015)."""
        return self._kit.open_api(self._errand.facts)

    @cached_property
    def progress(self) -> Progress:
        """Say how far it is: `context.progress(3, 12, "cutting")`, as `job_item.progress`."""
        return Progress(time.monotonic, self._say)

    def notify(self, text: str) -> None:
        """Send a notification, as `job_item.notify`."""
        self._say(text)

    @property
    def temp_dir(self) -> Path:
        """A folder of this run's own, made when it is first asked for and removed at the end."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="job_item-"))
        return self._folder

    def close(self) -> None:
        """Put away what was made for this run. The node does."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
