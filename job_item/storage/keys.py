"""Who one is to S3, and whom one trusts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from job_item.errors import NodeError

NAME, SECRET = "MINIO_USERNAME", "MINIO_PASSWORD"
_CHAIN = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Variables of which one is there where Amazon's chain finds credentials without asking an instance."""
_CERTIFICATES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Keys:
    """A name and a secret."""

    name: str
    secret: str = field(repr=False)


def keys_for(endpoint: str, environ: Mapping[str, str]) -> Keys | None:
    """Find the keys for an endpoint of one's own (protocol of ReefGuide, section 11); None leaves it to Amazon's chain.

    Raises `NodeError` (ERR-STG-008).
    """
    name, secret = environ.get(NAME), environ.get(SECRET)
    if name and secret:
        return Keys(name, secret)
    if not name and not secret and any(environ.get(variable) for variable in _CHAIN):
        return None
    lacking = " and ".join(variable for variable, value in ((NAME, name), (SECRET, secret)) if not value)
    raise NodeError("ERR-STG-008", f"There are no credentials for {endpoint}: {lacking} is not set.")


def are_known(endpoint: str | None, environ: Mapping[str, str]) -> bool:
    """Whether there are credentials, as far as can be told without asking anybody: an instance may have some too."""
    has_keys = bool(endpoint and environ.get(NAME) and environ.get(SECRET))
    return has_keys or any(os.environ.get(variable) for variable in _CHAIN)


def certificates(environ: Mapping[str, str]) -> bytes | None:
    """The certificates to trust beside those of the system, from the file that a variable names.

    Raises `NodeError` (ERR-STG-008).
    """
    path = next((environ[name] for name in _CERTIFICATES if environ.get(name)), None)
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise NodeError("ERR-STG-008", f"The certificates in {path} cannot be read: {error.strerror}.") from error
