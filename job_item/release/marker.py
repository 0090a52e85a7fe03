"""Which version a node runs: one small value, kept in the state folder as `versions/current.json`. Pure.

A version that was taken is on trial until its node has been ready for a while. Each start on trial is counted before it
is made, so that a version which takes the machine down with it is not started for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from job_item.release.version import is_version

TRIES_MAX = 3
"""So often a version on trial is started."""
FORMAT = 1
_REFUSED_MAX = 100


@dataclass(frozen=True, slots=True)
class Staged:
    """A version that lies in the folder of versions; `sha256` is the digest of its artifact."""

    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the last update; `at` is seconds since the epoch, `result` one of the words below."""

    version: str
    result: str
    reason: str
    at: float


STAGED, ON_TRIAL, CONFIRMED, FELL_BACK = "staged", "on trial", "confirmed", "fell back"


@dataclass(frozen=True, slots=True)
class Marker:
    """Which version runs (None: what was installed), what it takes the place of, and what is known of others.

    `sequence` is the highest of a release that was ever taken, `refused` are digests of artifacts that have failed,
    `watch_s` is how long a version on trial must have been ready to be kept.
    """

    current: Staged | None = None
    previous: Staged | None = None
    is_confirmed: bool = False
    tries: int = 0
    watch_s: float = 60.0
    sequence: int = 0
    refused: tuple[str, ...] = ()
    last: Outcome | None = None

    @property
    def is_on_trial(self) -> bool:
        """Whether the version has still to prove itself."""
        return self.current is not None and not self.is_confirmed

    @property
    def is_waiting(self) -> bool:
        """Whether the version is still to be started for the first time."""
        return self.is_on_trial and self.tries == 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the version on trial has been started as often as it may be."""
        return self.is_on_trial and self.tries >= TRIES_MAX

    def stage(self, staged: Staged, sequence: int, watch_s: float, at: float) -> Marker:
        """Put a version on trial from the next start on; one that was on trial and not confirmed is forgotten."""
        return replace(
            self,
            current=staged,
            previous=self.current if self.is_confirmed else self.previous,
            is_confirmed=False,
            tries=0,
            watch_s=watch_s,
            sequence=max(sequence, self.sequence),
            last=Outcome(staged.version, STAGED, "", at),
        )

    def begin_try(self, at: float) -> Marker:
        """Count a start of the version on trial."""
        return replace(self, tries=self.tries + 1, last=self._outcome(ON_TRIAL, "", at))

    def take_try_back(self) -> Marker:
        """The start was ended by somebody who wanted the node to stop: that says nothing of the version."""
        return replace(self, tries=max(0, self.tries - 1))

    def confirm(self, at: float) -> Marker:
        """The version on trial has proved itself."""
        return replace(self, is_confirmed=True, tries=0, last=self._outcome(CONFIRMED, "", at))

    def fall_back(self, reason: str, at: float) -> Marker:
        """The version is no good: never take its artifact again, and run what ran before."""
        refused = (*self.refused, self.current.sha256)[-_REFUSED_MAX:] if self.current else self.refused
        return replace(
            self,
            current=self.previous,
            previous=None,
            is_confirmed=self.previous is not None,
            tries=0,
            refused=refused,
            last=self._outcome(FELL_BACK, reason, at),
        )

    def to_bytes(self) -> bytes:
        """How it is kept."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()

    def _outcome(self, result: str, reason: str, at: float) -> Outcome:
        return Outcome(self.current.version if self.current else "", result, reason, at)


def parse_marker(raw: bytes) -> Marker:
    """Read a marker back. Raises ValueError."""
    try:
        found: dict[str, Any] = json.loads(raw)
        if found.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        outcome = found.pop("last")
        return Marker(
            current=_staged(found.pop("current")),
            previous=_staged(found.pop("previous")),
            refused=tuple(map(str, found.pop("refused"))),
            last=Outcome(**outcome) if outcome else None,
            is_confirmed=bool(found.pop("is_confirmed")),
            tries=int(found.pop("tries")),
            watch_s=float(found.pop("watch_s")),
            sequence=int(found.pop("sequence")),
            **found,
        )
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is not as it was written: {type(error).__name__}") from error


def _staged(found: Mapping[str, Any] | None) -> Staged | None:
    if found is None:
        return None
    staged = Staged(**found)
    if not is_version(staged.version):  # it becomes a part of a path
        raise ValueError("it names no version")
    return staged
