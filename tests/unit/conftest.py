"""What unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a configuration, which nobody else may enter."""
    tmp_path.chmod(0o700)
    return tmp_path
