"""What a release says of itself, and the one way to write that down: the bytes that are signed.

A release file is three lines: what it is, the signature in base64, and the manifest as JSON. The signature is of the
manifest's bytes as they stand there, so nothing has to be parsed before it is known who wrote it.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from job_item.errors import NodeError
from job_item.release.version import is_version

SIZE_MAX_BYTES = 16 << 10
"""A release file is no longer than this."""
ARTIFACT_MAX_BYTES = 1 << 40
HEAD = b"job_item release 1"
_SEQUENCE_MAX = 1 << 53
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PYTHON = re.compile(r"3\.[1-9][0-9]?")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One release.

    `sequence` grows with each release of a project, so that an old one cannot be passed off as new; `issued_at` is
    seconds since the epoch, for people. `platform` is as `job_item.release.place.platform` tells it, or `any`; `python`
    is the oldest one that it runs on. `artifact` is the name of the file beside the release file.
    """

    version: str
    sequence: int
    issued_at: int
    channel: str
    platform: str
    python: str
    artifact: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        for field in fields(self):
            if not _RULES[field.name](getattr(self, field.name)):
                raise ValueError(field.name)

    def to_bytes(self) -> bytes:
        """The canonical form: members by name, no blanks, ASCII."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """A release file taken apart; nothing in it is to be believed before its signature was checked."""

    signature: bytes
    content: bytes

    def to_bytes(self) -> bytes:
        """The release file."""
        return b"\n".join((HEAD, b64encode(self.signature), self.content)) + b"\n"

    def signed(self) -> bytes:
        """What the signature is of: the manifest, and what it is, so that no other signature of the key fits."""
        return HEAD + b"\n" + self.content


def take_apart(raw: bytes) -> SignedRelease:
    """Find signature and manifest in a release file. Raises NodeError (ERR-REL-002)."""
    if len(raw) > SIZE_MAX_BYTES:
        raise _unreadable(f"it has more than {SIZE_MAX_BYTES >> 10} KiB")
    lines = raw.split(b"\n")
    if len(lines) != 4 or lines[0] != HEAD or lines[3]:
        raise _unreadable(f"it is not three lines of which the first is `{HEAD.decode()}`")
    try:
        signature = b64decode(lines[1], validate=True)
    except ValueError as error:
        raise _unreadable("its second line is no base64") from error
    if len(signature) != 64 or b64encode(signature) != lines[1]:
        raise _unreadable("its second line is no signature")
    return SignedRelease(signature, lines[2])


def parse(content: bytes) -> Manifest:
    """Read a manifest, which must stand in its one canonical form. Raises NodeError (ERR-REL-002)."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unreadable("its manifest is no JSON") from error
    names = {field.name for field in fields(Manifest)}
    if not isinstance(found, Mapping) or found.keys() != names:
        raise _unreadable(f"its manifest has not exactly these members: {', '.join(sorted(names))}")
    try:
        manifest = Manifest(**found)
    except ValueError as error:
        raise _unreadable(f"its manifest has a `{error}` that none can have") from error
    if manifest.to_bytes() != content:
        raise _unreadable("its manifest is not written in the canonical form")
    return manifest


def _unreadable(why: str) -> NodeError:
    return NodeError("ERR-REL-002", f"This is no release: {why}.")


def _matches(form: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def _counts(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 < value <= most


_RULES: Mapping[str, Callable[[Any], bool]] = {
    "version": lambda value: isinstance(value, str) and is_version(value),
    "sequence": _counts(_SEQUENCE_MAX),
    "issued_at": _counts(_SEQUENCE_MAX),
    "channel": _matches(_WORD),
    "platform": _matches(_WORD),
    "python": _matches(_PYTHON),
    "artifact": _matches(_NAME),
    "size": _counts(ARTIFACT_MAX_BYTES),
    "sha256": _matches(_DIGEST),
}
