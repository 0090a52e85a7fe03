"""Names of files within a storage. Pure."""

from __future__ import annotations

import mimetypes
import re

from job_item.errors import NodeError

LONGEST_BYTES = 1024
"""Of a key in S3, its prefix included (Amazon S3 user guide, "Naming Amazon S3 objects")."""
UNFINISHED = ".unfinished-"
"""How the name of a local file begins that is still being written."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What the tables of the standard library lack, or know in newer versions only.
_TYPES = (
    (".geojson", "application/geo+json"),
    (".gpkg", "application/geopackage+sqlite3"),
    (".jsonl", "application/x-ndjson"),
    (".parquet", "application/vnd.apache.parquet"),
    (".webp", "image/webp"),
    (".yaml", "application/yaml"),
    (".yml", "application/yaml"),
)
_PACKED = (("gzip", "application/gzip"), ("bzip2", "application/x-bzip2"), ("xz", "application/x-xz"))
_UNKNOWN = "application/octet-stream"


def check_name(name: str) -> str:
    """Give the name back where it is one of a file within a storage. Raises `NodeError` (ERR-STG-002)."""
    if not name:
        raise _refused(name, "it is empty")
    if name.startswith("/"):
        raise _refused(name, "it is absolute")
    for part in name.split("/"):
        if part == "..":
            raise _refused(name, "`..` leads out of the storage")
        if part in ("", "."):
            raise _refused(name, "between two slashes there is no name")
        if part.startswith(UNFINISHED):
            raise _refused(name, f"`{UNFINISHED}` begins the names of unfinished files")
    if _CONTROL.search(name):
        raise _refused(name, "it holds control characters")
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        raise _refused(name, "it is no proper Unicode") from None
    if size_bytes > LONGEST_BYTES:
        raise _refused(name, f"it is longer than {LONGEST_BYTES} bytes")
    return name


def content_type_of(name: str) -> str:
    """Guess what a file is from its name, the same on every machine."""
    lowered = name.lower()
    for ending, known in _TYPES:
        if lowered.endswith(ending):
            return known
    kind, packing = mimetypes.MimeTypes().guess_type(lowered)  # its own tables, not those of this machine
    return dict(_PACKED).get(packing, _UNKNOWN) if packing else kind or _UNKNOWN


def _refused(name: str, reason: str) -> NodeError:
    shown = name if len(name) <= 80 else f"{name[:80]}..."
    return NodeError("ERR-STG-002", f"{shown!r} is no name of a file in a storage: {reason}.")
