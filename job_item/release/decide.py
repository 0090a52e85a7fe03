"""Whether a node takes a release, and why not. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from job_item.release.manifest import Manifest
from job_item.release.version import rank

_ANY = "any"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a node goes by: its settings, what it is, and what it knows of releases before.

    `canary` is the share of nodes that take releases, in percent, and `share` where this node stands among them;
    `python` is the version that it runs on, as (3, 12). `sequence` is the highest that was ever taken (0: none);
    `refused` are digests of artifacts that have failed here.
    """

    version: str
    channel: str
    platform: str
    python: tuple[int, int]
    canary: float
    share: float
    size_max_bytes: int
    sequence: int
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a release is not taken; `code` is one of the register."""

    code: str
    reason: str


def share_of(identity: str) -> float:
    """Where a node stands among all, from 0 to below 100: always the same for one identity, spread evenly over many."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % 10_000 / 100


def decide(release: Manifest, ground: Ground) -> tuple[Objection, ...]:
    """All that speaks against a release; it is taken where nothing does."""
    return tuple(_objections(release, ground))


def _objections(release: Manifest, ground: Ground) -> Iterator[Objection]:
    if release.channel != ground.channel:
        yield Objection("ERR-REL-004", f"It is of channel `{release.channel}`, this node takes `{ground.channel}`.")
    if release.platform not in (_ANY, ground.platform):
        yield Objection("ERR-REL-004", f"It is for {release.platform}, this is {ground.platform}.")
    if ground.python < tuple(map(int, release.python.split("."))):
        yield Objection(
            "ERR-REL-004", f"It needs Python {release.python}, this is {'.'.join(map(str, ground.python))}."
        )
    if rank(release.version) <= rank(ground.version):
        yield Objection("ERR-REL-005", f"It is version {release.version}, this node is at {ground.version}.")
    if release.sequence <= ground.sequence:
        yield Objection(
            "ERR-REL-006", f"Its number is {release.sequence}; one with {ground.sequence} was taken already."
        )
    if release.sha256 in ground.refused:
        yield Objection("ERR-REL-014", f"This build of version {release.version} has failed on this node before.")
    if release.size > ground.size_max_bytes:
        yield Objection(
            "ERR-REL-008", f"It has {release.size} bytes, `update.size_max` allows {ground.size_max_bytes}."
        )
    if ground.share >= ground.canary:
        yield Objection(
            "ERR-REL-007", f"This node stands at {ground.share:g} %, and `update.canary` is {ground.canary:g} %."
        )
