"""Configurations for tests, loaded or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_item.errors import Fault, SettingsError
from job_item.load import Loaded, load


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def load_text(folder: Path, text: str, environ: dict[str, str] | None = None) -> Loaded:
    return load(write(folder, text), environ or {})


def faults_of(folder: Path, text: str, environ: dict[str, str] | None = None) -> tuple[Fault, ...]:
    with pytest.raises(SettingsError) as refused:
        load_text(folder, text, environ)
    return refused.value.faults
