"""The folders of a node: where it keeps its state, and what relative paths are relative to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from job_item.layers import Layer, leaves
from job_item.yamlfile import KeyPath

_PATHS = (
    ("state_dir",),
    ("work_dir",),
    ("credential", "secret_key_file"),
    ("api", "token_file"),
    ("broker_connection", "password_file"),
    ("broker_connection", "token_file"),
    ("broker_connection", "ca_file"),
    ("broker_connection", "cert_file"),
    ("broker_connection", "key_file"),
    ("reefguide", "password_file"),
    ("reefguide", "data_path"),
    ("reefguide", "cache_path"),
)
_PATHS_OF_ENTRIES = ("working_dir", "shell")
"""Of jobs and execs; a shell only where it is no bare name."""


def make_absolute(layer: Layer, folder: Path) -> None:
    """Make all paths in the settings absolute: they are relative to the folder of the configuration file."""
    for key, text in list(leaves(layer.tree)):
        if text and (key in _PATHS or _is_path_of_entry(key, text)):
            layer.put(key, os.path.normpath(folder / Path(text).expanduser()))


def _is_path_of_entry(key: KeyPath, text: str) -> bool:
    is_entry = len(key) == 3 and key[0] in ("jobs", "execs") and key[2] in _PATHS_OF_ENTRIES
    return is_entry and (key[2] != "shell" or "/" in text)


def default_state_dir(config_path: Path, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Choose the state folder where no setting names one; also say why this one.

    The service manager's, else `.job_item` beside the configuration where that can be written, else one of the user's.
    """
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given), "environment STATE_DIRECTORY"
    beside = config_path.parent / ".job_item"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK | os.X_OK):
        return beside, "default"
    home = environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return base / "job_item" / hashlib.sha256(os.fsencode(config_path)).hexdigest()[:16], "default"
