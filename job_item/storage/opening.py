"""From a URI to a storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from job_item.storage.keys import keys_for
from job_item.storage.local import LocalStorage
from job_item.storage.place import FolderPlace, check_endpoint, read_uri

if TYPE_CHECKING:
    from job_item.storage.bucket import Patience
    from job_item.storage.seam import Storage

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables in which Amazon's own programs look for an endpoint; it goes with Amazon's chain of credentials."""


def open_storage(
    uri: str,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    environ: Mapping[str, str] = os.environ,
    patience: Patience | None = None,
) -> Storage:
    """Give the storage that a URI names: `s3://bucket/prefix`, `file:///folder` or the path of a folder.

    Nothing is asked of a server yet. `endpoint` is the address of a server that speaks S3, with MINIO_USERNAME and
    MINIO_PASSWORD of `environ` as credentials; without one it is Amazon's in `region`, with the credentials that
    Amazon's own programs find in the environment, or the role of the ECS task. `patience` says how long to bear with a
    bad connection. A storage in S3 is to be used in the process that opened it.

    Raises `job_item.errors.NodeError`: ERR-STG-001 (no such URI), ERR-STG-002 (it leads out of itself), ERR-STG-008
    (no credentials for the endpoint, or certificates that cannot be read).
    """
    place = read_uri(uri)
    if isinstance(place, FolderPlace):
        return LocalStorage(place.folder)
    from job_item.storage.bucket import BucketStorage, Patience  # where there is no bucket, nothing of it is loaded

    keys = None
    if endpoint:
        endpoint = check_endpoint(endpoint)
        keys = keys_for(endpoint, environ)
    elif found := next(filter(None, map(os.environ.get, _ENDPOINTS)), None):
        endpoint = check_endpoint(found)
    return BucketStorage(place, region=region, endpoint=endpoint, keys=keys, patience=patience or Patience())
