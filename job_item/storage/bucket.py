"""A storage in S3, or in what speaks like it: MinIO and others. The one place with obstore.

Buckets are named in the path, never in the host, as every such server understands it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from job_item.errors import NodeError, Unavailable
from job_item.sdk.filebody import OpenFile, Stream
from job_item.storage.display import displayed
from job_item.storage.failure import of_bucket
from job_item.storage.keys import Keys, certificates
from job_item.storage.names import check_name, content_type_of
from job_item.storage.place import BucketPlace
from job_item.storage.seam import Stored, Watch
from job_item.storage.target import file_for

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

PART_BYTES = 8 << 20
"""Of an upload in parts; smaller files go in one request."""
PARTS_AT_ONCE = 4
MOST_PARTS = 10_000
"""Of one upload (Amazon S3 user guide, "Multipart upload limits")."""
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with silence and failure.

    `attempts`: tries of one request in all. `connect_s`: silence while connecting. `silence_s`: while an answer is
    awaited, and that includes the time for sending one part. `trying_s`: after so long no further try is begun.
    """

    attempts: int = 8
    connect_s: float = 10.0
    silence_s: float = 120.0
    trying_s: float = 600.0


class BucketStorage:
    """Files below a prefix of a bucket. See `seam.Storage`.

    Parameters: `region` and `endpoint`, None for what the environment says (AWS_REGION), in the end us-east-1
    at Amazon; `keys`, None for the chain of Amazon (environment, web identity, the role of an ECS task or
    of an instance). Raises `NodeError` (ERR-STG-008: certificates that cannot be used).
    """

    def __init__(
        self, place: BucketPlace, *, region: str | None, endpoint: str | None, keys: Keys | None, patience: Patience
    ) -> None:
        self._place = place
        self._endpoint = endpoint or "Amazon S3"
        self._pid = os.getpid()
        config: S3Config = {"virtual_hosted_style_request": False}
        if region:
            config["region"] = region
        if endpoint:
            config["endpoint"] = config["aws_endpoint_url_s3"] = endpoint
        try:
            self._store = S3Store(
                place.bucket,
                prefix=place.prefix or None,
                config=config,
                client_options=_client(patience, endpoint),
                retry_config=_retry(patience),
                credential_provider=None if keys is None else _Given(keys),
            )
        except (BaseError, ValueError) as error:  # certificates that are none, or an AWS_ variable
            raise NodeError("ERR-STG-008", f"S3 cannot be used: {str(error).splitlines()[0]}") from error

    @property
    def uri(self) -> str:
        """See `seam.Storage`."""
        return self._place.uri

    def upload(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        content_type: str | None = None,
        watch: Watch | None = None,
    ) -> Stored:
        """See `seam.Storage`. An upload that fails leaves nothing behind but, if the process is killed, parts."""
        name = check_name(Path(path).name if name is None else name)
        with OpenFile(path) as file, displayed("upload", name, file.size_bytes, watch) as seen:
            self._put(name, file.size_bytes, _Blocks(Stream(file, seen)), content_type)
            return self._stored(name, file.size_bytes)

    def write(self, name: str, content: bytes, *, content_type: str | None = None) -> Stored:
        """See `seam.Storage`."""
        self._put(check_name(name), len(content), [content], content_type)
        return self._stored(name, len(content))

    def download(self, name: str, path: str | os.PathLike[str], *, watch: Watch | None = None) -> Path:
        """See `seam.Storage`. A connection that breaks is taken up again where it broke off."""
        check_name(name)
        with self._refusals(name):
            found = obstore.get(self._store, name)
        size_bytes = found.meta["size"]
        with displayed("download", name, size_bytes, watch) as seen, file_for(Path(path), name) as (target, landed):
            for block in self._blocks(found, name):
                target.write(block)
                seen(target.size_bytes, size_bytes)
            if target.size_bytes != size_bytes:
                raise Unavailable("ERR-STG-003", f"{self._endpoint} sent a part of {name} only.")
        return landed

    def list(self, under: str = "") -> Iterator[Stored]:
        """See `seam.Storage`."""
        folder = check_name(under.rstrip("/")) if under else None
        with self._refusals(under or self.uri):
            for page in obstore.list(self._store, folder):
                for found in page:
                    yield self._stored(found["path"], found["size"])

    def delete(self, name: str) -> None:
        """See `seam.Storage`."""
        check_name(name)
        try:
            with self._refusals(name):
                obstore.delete(self._store, name)
        except NodeError as error:
            if error.code != "ERR-STG-006":
                raise

    def _put(self, name: str, size_bytes: int, blocks: Any, content_type: str | None) -> None:
        part_bytes = max(PART_BYTES, -(-size_bytes // MOST_PARTS))
        with self._refusals(name):
            obstore.put(
                self._store,
                name,
                blocks,
                attributes={"Content-Type": content_type or content_type_of(name)},
                use_multipart=size_bytes > PART_BYTES,
                chunk_size=part_bytes,
                max_concurrency=PARTS_AT_ONCE,
            )

    def _blocks(self, found: GetResult, name: str) -> Iterator[memoryview]:
        with self._refusals(name):
            for block in found.stream(BLOCK_BYTES):
                yield memoryview(block)

    def _stored(self, name: str, size_bytes: int) -> Stored:
        return Stored(name, f"{self.uri}/{name}", size_bytes)

    @contextmanager
    def _refusals(self, name: str) -> Iterator[None]:
        """Say in words what the library raises."""
        if os.getpid() != self._pid:  # its threads are not in a forked process, and it would wait for them for ever
            raise NodeError("ERR-STG-011", f"{self.uri} was opened in another process than this.")
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise of_bucket(error, name, self.uri, self._endpoint) from error


class _Blocks:
    """The body of a request, in pieces that the library takes."""

    def __init__(self, source: Stream) -> None:
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        while block := self._source.read(BLOCK_BYTES):
            yield block


class _Given:
    """Gives the library the keys that are known."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __call__(self) -> S3Credential:
        return {
            "access_key_id": self._keys.name,
            "secret_access_key": self._keys.secret,
            "token": None,
            "expires_at": None,
        }


def _client(patience: Patience, endpoint: str | None) -> ClientConfig:
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=patience.connect_s),
        "read_timeout": timedelta(seconds=patience.silence_s),
        "timeout": timedelta(days=1),  # of the whole; a large file on a slow link takes its time
        "allow_http": (endpoint or "").startswith("http://"),
    }
    if not options["allow_http"] and (pem := certificates(os.environ)):
        options["root_certificate"] = pem
    return options


def _retry(patience: Patience) -> RetryConfig:
    return {
        "max_retries": patience.attempts - 1,
        "retry_timeout": timedelta(seconds=patience.trying_s),
        "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
    }
