"""Settings come in layers: each is a tree of plain Python, and knows where each of its values came from.

Unset is absent, never a default: a layer holds only what was said. Layers are merged as dicts, lists as a whole, and
validated once after that (architecture, section 9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from job_item.findings import Finding
from job_item.yamlfile import Document, KeyPath, Tree

_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
_COMMANDS = ("jobs", "execs")
OF_VARIABLES = ("environment ", ".env ")
"""How the source of a setting begins that a variable alone gave; the name of the variable follows."""


@dataclass(slots=True)
class Layer:
    """What one source of settings says; `origins` names the source of each leaf of `tree`."""

    tree: dict[str, Tree] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def get(self, path: KeyPath) -> Tree:
        """What stands at `path`, None where nothing does."""
        found: Tree = self.tree
        for part in path:
            if isinstance(found, dict):
                found = found.get(str(part))
            elif isinstance(found, list) and isinstance(part, int):
                found = found[part]
            else:
                return None
        return found

    def put(self, path: KeyPath, value: str, origin: str | None = None) -> None:
        """Set the leaf at `path`, whose surroundings exist."""
        around = self.get(path[:-1])
        if isinstance(around, dict):
            around[str(path[-1])] = value
        if origin is not None:
            self.origins[path] = origin


def leaves(tree: Tree, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str | None]]:
    """All scalars of a tree with their paths."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


def merge(low: Layer, high: Layer) -> Layer:
    """Lay `high` over `low`."""
    tree = _merge(low.tree, high.tree)
    present = {path for path, _ in leaves(tree)}
    said = {
        path: origin for path, origin in high.origins.items() if path not in low.origins or high.get(path) is not None
    }
    return Layer(tree, {path: origin for path, origin in (low.origins | said).items() if path in present})


def _merge(low: Mapping[str, Tree], high: Mapping[str, Tree]) -> dict[str, Tree]:
    merged = dict(low)
    for key, value in high.items():
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            merged[key] = _merge(under, value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def variable_layer(path: KeyPath, name: str, environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Layer:
    """The layer of one setting that a variable gives; empty where the variable is unset or empty."""
    value = environ.get(name) or dotenv.get(name)
    if not value:
        return Layer()
    tree: Tree = value
    for part in reversed(path):
        tree = {str(part): tree}
    origin = f"environment {name}" if environ.get(name) else f".env {name}"
    return Layer(tree if isinstance(tree, dict) else {}, {path: origin})


def file_layer(
    document: Document, file: str, environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> tuple[Layer, list[Finding]]:
    """The layer of a file, each text that is `${NAME}` as a whole replaced by the variable, commands left alone.

    An unset variable is a finding, and its setting is then taken as absent; an empty one is the empty text. The
    environment wins over `.env`.
    """
    layer = Layer(document.tree)
    unset: list[Finding] = []
    for path, text in list(leaves(document.tree)):
        place = document.place(path)
        origin = f"{file.rpartition('/')[2]}:{place.line}" if place else file
        found = _VARIABLE.fullmatch(text) if text and not _is_command(path) else None
        if found is None:
            layer.origins[path] = origin
            continue
        name = found[1]
        value = environ.get(name, dotenv.get(name))
        if value is None:
            unset.append(Finding(path, "ERR-CFG-008", f"the variable {name} is not set"))
        source = "environment" if name in environ else ".env"
        _replace(document.tree, path, value)
        layer.origins[path] = f"{origin}, {source} {name}"
    return layer, unset


def _replace(tree: Tree, path: KeyPath, value: str | None) -> None:
    """Put `value` in place of the scalar at `path`."""
    for part in path[:-1]:
        tree = tree[part]  # type: ignore[index]  # the path comes from `leaves` of this tree
    tree[path[-1]] = value  # type: ignore[index]


def _is_command(path: KeyPath) -> bool:
    """Whether a path leads into `jobs[].cmd`, `execs[].cmd` or the `cmd` of an exec's probe."""
    of_probe = path[0] == "execs" and path[2:] in (("ready", "cmd"), ("health", "cmd"))
    return len(path) >= 3 and path[0] in _COMMANDS and (path[2] == "cmd" or of_probe)
