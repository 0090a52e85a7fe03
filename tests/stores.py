"""Everything that a storage can be asked, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.storage import Storage
from job_item.storage.bucket import PART_BYTES, Patience

HASTY = Patience(attempts=3, connect_s=20, silence_s=20, trying_s=60)
"""Soon at its end where a server refuses; a busy one has its time."""
SHORT_SILENCE = Patience(attempts=2, connect_s=20, silence_s=1, trying_s=60)
MIB = 1 << 20


def acts(storage: Storage, folder: Path) -> list[Callable[[], object]]:
    """Everything that speaks to the server, large uploads too."""
    small, large = folder / "small", folder / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(PART_BYTES + 1))
    return [
        lambda: storage.upload(small),
        lambda: storage.upload(large),
        lambda: storage.write("a", b"x"),
        lambda: storage.download("a", folder / "back"),
        lambda: list(storage.list()),
        lambda: storage.delete("a"),
    ]


def refusals(storage: Storage, folder: Path) -> set[tuple[str, str]]:
    said = set()
    for act in acts(storage, folder):
        with pytest.raises(NodeError) as refused:
            act()
        said.add((refused.value.code, refused.value.message))
    return said
