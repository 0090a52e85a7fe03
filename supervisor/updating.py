"""An update from the command line: what would be done, and doing it up to the moment at which a node changes over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from job_item import __version__
from job_item.errors import NodeError, Unavailable
from job_item.release import place
from job_item.release.decide import Ground, Objection, decide, share_of
from job_item.release.fetch import fetch_artifact, fetch_release
from job_item.release.keys import verify
from job_item.release.manifest import Manifest
from job_item.release.marker import Marker, Staged
from job_item.release.shelf import Shelf
from job_item.release.version import rank
from job_item.state import StateFolder
from job_item.updatespec import Update
from supervisor.examination import Candidate, examine


@dataclass(frozen=True, slots=True)
class Target:
    """The node that an update is for."""

    update: Update
    config_path: Path
    state_dir: Path
    identity: str


@dataclass(frozen=True, slots=True)
class Prospect:
    """A release that was fetched and is signed with the right key, and what speaks against it on this node."""

    url: str
    raw: bytes
    release: Manifest
    ground: Ground
    objections: tuple[Objection, ...]


def look_at(target: Target, url: str) -> Prospect:
    """Fetch a release and decide on it; nothing is changed.

    Raises NodeError: ERR-REL-001 (no key), ERR-REL-002, ERR-REL-003, ERR-REL-009, ERR-REL-010, ERR-REL-018.
    """
    key = target.update.public_key
    if key is None:
        raise NodeError("ERR-REL-001", "Updates are off: the settings name no `update.public_key`.")
    marker = Shelf(target.state_dir).read()
    raw = fetch_release(url)
    release = verify(raw, key)
    ground = _ground(target, marker)
    objections = () if _is_staged(release, marker) else decide(release, ground)
    return Prospect(url, raw, release, ground, objections)


def refuse(prospect: Prospect) -> None:
    """Raise NodeError with all that speaks against a release."""
    if prospect.objections:
        reasons = " ".join(objection.reason for objection in prospect.objections)
        raise NodeError(prospect.objections[0].code, f"The release is not taken. {reasons}")


def stage(target: Target, prospect: Prospect, environ: Mapping[str, str], tell: Callable[[str], None]) -> Marker:
    """Fetch, examine and put on trial what a release offers: the next start of the node runs it.

    Where that was done already and the node has not been started since, there is nothing left to do.

    `tell` hears each step. Raises NodeError: ERR-REL-009 to ERR-REL-013, ERR-REL-015, ERR-REL-018, ERR-REL-020.
    """
    refuse(prospect)
    release, shelf, update = prospect.release, Shelf(target.state_dir), target.update
    with shelf.locked():
        marker = shelf.read()
        if _is_staged(release, marker):
            return marker
        _refuse_while_on_trial(marker)
        tell(f"fetching version {release.version}, {release.size} bytes")
        with shelf.draft(release.version) as draft:
            fetch_artifact(prospect.url, release, draft / shelf.artifact(release.version).name)
            _write(draft / shelf.release(release.version).name, prospect.raw)
        tell("examining it: its name, the settings, a job")
        candidate = Candidate(shelf.artifact(release.version), release.version)
        try:
            examine(candidate, target.config_path, target.state_dir, environ)
            staged = Staged(release.version, release.sha256)
            marker = shelf.change(lambda marker: marker.stage(staged, release.sequence, update.watch, time.time()))
        except BaseException:
            shelf.remove(release.version)
            raise
        shelf.prune(update.keep, marker)
    return marker


def change_over(state_dir: Path) -> bool:
    """Have the node that runs on a state folder make room for the version on trial; False where none runs."""
    folder = StateFolder(state_dir)
    node = folder.read_node()
    if node is None or folder.holder("node") != node.pid:
        return False
    try:
        os.kill(node.pid, signal.SIGUSR2)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_staged(release: Manifest, marker: Marker) -> bool:
    """Whether somebody has come so far before, and no farther."""
    return marker.is_waiting and marker.current == Staged(release.version, release.sha256)


def _refuse_while_on_trial(marker: Marker) -> None:
    if marker.is_on_trial and not marker.is_waiting and marker.current is not None:
        raise Unavailable("ERR-REL-015", f"Version {marker.current.version} is on trial.")


def _ground(target: Target, marker: Marker) -> Ground:
    update = target.update
    versions = [__version__, *([marker.current.version] if marker.current else [])]
    return Ground(
        version=max(versions, key=rank),
        channel=update.channel,
        platform=place.platform(),
        python=place.python(),
        canary=update.canary,
        share=share_of(target.identity),
        size_max_bytes=update.size_max,
        sequence=marker.sequence,
        refused=frozenset(marker.refused),
    )


def _write(file: Path, content: bytes) -> None:
    with file.open("xb") as stream:
        stream.write(content)
