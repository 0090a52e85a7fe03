"""Keys of releases: Ed25519, 32 bytes, written as base64. The one place that uses `cryptography`, and loads it late.

Its 60 ms of import are for those who use updates.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from job_item.errors import NodeError
from job_item.release.manifest import Manifest, SignedRelease, parse, take_apart

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_KEY_BYTES = 32
_FILE_MAX_BYTES = 4096


def is_key(text: str) -> bool:
    """Whether a text is a public key as it stands in `update.public_key`."""
    return _decode(text) is not None


def make_key(file: Path) -> str:
    """Write a new private key to `file` (mode 0600, never over another) and return its public key.

    Raises NodeError (ERR-REL-016).
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b64encode(key.private_bytes_raw()) + b"\n")
    except OSError as error:
        raise NodeError("ERR-REL-016", f"The key cannot be written to {file}: {error.strerror}.") from error
    return _public_text(key)


def public_key(file: Path) -> str:
    """The public key that belongs to the private one in `file`. Raises NodeError (ERR-REL-016)."""
    return _public_text(_read_key(file))


def sign(manifest: Manifest, file: Path) -> bytes:
    """Make the release file of a manifest, signed with the private key in `file`.

    Raises NodeError (ERR-REL-016).
    """
    unsigned = SignedRelease(b"", manifest.to_bytes())
    return SignedRelease(_read_key(file).sign(unsigned.signed()), unsigned.content).to_bytes()


def verify(raw: bytes, key: str) -> Manifest:
    """Read a release file that the holder of `key` has signed.

    Raises NodeError: ERR-REL-002 (no release), ERR-REL-003 (not signed with this key).
    """
    release = take_apart(raw)
    from cryptography.exceptions import InvalidSignature

    try:
        _public(key).verify(release.signature, release.signed())
    except InvalidSignature as error:
        raise NodeError("ERR-REL-003", "The release was not signed with the key in `update.public_key`.") from error
    return parse(release.content)


def _public(key: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = _decode(key)
    if content is None:
        raise NodeError("ERR-REL-016", "This is no public key: it has 32 bytes, written as base64.")
    return Ed25519PublicKey.from_public_bytes(content)


def _public_text(key: Ed25519PrivateKey) -> str:
    return b64encode(key.public_key().public_bytes_raw()).decode()


def _read_key(file: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        with file.open("rb") as stream:
            content = _decode(stream.read(_FILE_MAX_BYTES).decode("ascii", "replace").strip())
    except OSError as error:
        raise NodeError("ERR-REL-016", f"The key {file} cannot be read: {error.strerror}.") from error
    if content is None:
        raise NodeError("ERR-REL-016", f"{file} holds no private key: it has 32 bytes, written as base64.")
    return Ed25519PrivateKey.from_private_bytes(content)


def _decode(text: str) -> bytes | None:
    try:
        content = b64decode(text, validate=True)
    except ValueError:
        return None
    return content if len(content) == _KEY_BYTES else None
