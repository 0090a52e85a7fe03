"""Secrets in files of their own, and the check that other users cannot read them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from job_item.findings import Finding
from job_item.layers import Layer
from job_item.manager.supply import ORIGIN
from job_item.yamlfile import KeyPath

SECRETS: tuple[KeyPath, ...] = (
    ("credential", "secret_key"),
    ("api", "token"),
    ("broker_connection", "password"),
    ("broker_connection", "token"),
)
"""Settings that may stand in a file, which the same key with `_file` names."""
PRIVATE_KEY: KeyPath = ("broker_connection", "key_file")
_SIZE_MAX_BYTES = 64 << 10


def read_secret_files(layer: Layer) -> list[Finding]:
    """Put the text of each secret's file in place of the secret; the paths in `layer` are absolute already.

    White space at the end of a file, its last line end above all, does not belong to the secret.
    """
    found: list[Finding] = []
    for key in SECRETS:
        file_key = file_key_of(key)
        file = layer.get(file_key)
        if not isinstance(file, str):
            continue
        if layer.get(key):
            found.append(Finding(file_key, "ERR-CFG-017", f"{key[-1]} and {file_key[-1]} are both set"))
            continue
        try:
            text = _read(Path(file))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            found.append(Finding(file_key, "ERR-CFG-016", f"{file} cannot be used: {reason}"))
            continue
        layer.put(key, text, f"file {file}")
    return found


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(_SIZE_MAX_BYTES + 1)
    if len(content) > _SIZE_MAX_BYTES:
        raise ValueError("it is too long for a secret")
    text = content.decode().rstrip()
    if not text:
        raise ValueError("it is empty")
    return text


def file_key_of(key: KeyPath) -> KeyPath:
    """The setting that names the file of a secret."""
    return (*key[:-1], f"{key[-1]}_file")


def exposed(layer: Layer, config_path: Path) -> Iterator[tuple[KeyPath, Path]]:
    """The files with secrets that other users may read: the configuration itself, `.env`, files of single secrets."""
    checked: set[Path] = set()
    for key in SECRETS:
        if not layer.get(key):
            continue
        file = _home(key, layer, config_path)
        if file is not None and file not in checked and is_readable_by_others(file):
            yield key, file
            checked.add(file)
    private = layer.get(PRIVATE_KEY)
    if isinstance(private, str) and is_readable_by_others(Path(private)):
        yield PRIVATE_KEY, Path(private)


def _home(key: KeyPath, layer: Layer, config_path: Path) -> Path | None:
    """The file that the value of a secret stands in, if any."""
    origin = layer.origins.get(key, "")
    if origin.startswith("file "):
        return Path(origin.removeprefix("file "))
    if ", .env " in origin:
        return config_path.with_name(".env")
    return None if ", environment " in origin or origin.startswith(ORIGIN) else config_path


def is_readable_by_others(file: Path) -> bool:
    """Whether users outside the file's owner and group may read it."""
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH)
    except OSError:
        return False
