"""URIs of storages. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from job_item.errors import NodeError
from job_item.storage.names import check_name

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")

_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
"""A name or password within is refused: those have variables of their own."""


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """The part of a bucket whose keys begin with `prefix`; an empty one is the whole bucket."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The whole URI, without a slash at the end."""
        return "/".join(filter(None, (f"s3://{self.bucket}", self.prefix)))


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of this machine; it is made when the first file comes."""

    folder: Path


def read_uri(uri: str) -> BucketPlace | FolderPlace:
    """Read `s3://bucket/prefix`, `file:///folder` or a path. Raises `NodeError` (ERR-STG-001, ERR-STG-002)."""
    found = _SCHEME.match(uri)
    scheme = found[1] if found else ""
    match scheme:
        case "s3":
            bucket, _, prefix = uri.removeprefix("s3://").partition("/")
            return BucketPlace(_bucket(bucket), _prefix(prefix))
        case "file":
            host, slash, path = uri.removeprefix("file://").partition("/")
            if host not in ("", "localhost") or not slash:
                raise _refused("a file:// URI names an absolute path on this machine, as file:///folder does")
            return FolderPlace(_folder(unquote(slash + path)))
        case "":
            return FolderPlace(_folder(uri))
        case _:
            raise _refused(f"{scheme}:// is no scheme of a storage")


def check_endpoint(endpoint: str) -> str:
    """Give the address of a server back without a slash at the end. Raises `NodeError` (ERR-STG-001)."""
    if not _ENDPOINT.fullmatch(endpoint):
        raise NodeError(
            "ERR-STG-001",
            "The endpoint for S3 is no address of a server such as http://127.0.0.1:9000.",
            "Set S3_ENDPOINT to http:// or https://, a host and perhaps a port, or unset it for Amazon's own.",
        )
    return endpoint.rstrip("/")


def _bucket(bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        # Whatever stands before an `@` may be a password.
        raise _refused(f"{bucket.rpartition('@')[2]!r} is no name of a bucket")
    return bucket


def _prefix(prefix: str) -> str:
    prefix = prefix.rstrip("/")
    return check_name(prefix) if prefix else ""


def _folder(path: str) -> Path:
    if not path or "\0" in path:
        raise _refused("it names no folder")
    return Path(path).absolute()


def _refused(reason: str) -> NodeError:
    return NodeError("ERR-STG-001", f"This is no URI of a storage: {reason}.")
