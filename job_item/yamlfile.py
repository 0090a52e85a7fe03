"""A YAML file as plain Python, with the place of everything in it.

Scalars stay text as it is written (`1.10` is not shortened, `yes` is not changed); what a setting wants decides what
the text means. An empty scalar, `~` and `null` are None. Duplicate keys are faults, as they are to the Go worker
(protocol job-item.md, section 2.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from job_item.errors import Fault

Tree = dict[str, "Tree"] | list["Tree"] | str | None
KeyPath = tuple[str | int, ...]

_NULL_TAG = "tag:yaml.org,2002:null"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NODES_MAX = 100_000
"""Bounds what aliases of aliases can grow to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, counted from 1. `text_line` is the line of the first line of a scalar's text."""

    line: int
    column: int
    text_line: int = 0


@dataclass(slots=True)
class Document:
    """What a file says (`tree`), where each part of it stands, and what is wrong with it."""

    tree: dict[str, Tree] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place | None:
        """The place of `path`, or of the nearest thing around it that is in the file."""
        return nearest(self.places, path)


def nearest(places: Mapping[KeyPath, Place], path: KeyPath) -> Place | None:
    """The place of `path`, or of the nearest thing around it."""
    return next((places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in places), None)


def dotted(path: KeyPath) -> str:
    """Write a path as people do: `jobs[0].timeout`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def parse(text: str, file: str) -> Document:
    """Read `text`; `file` is the name that faults give. Nothing is raised: look at `faults`."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _Reader(document, file).read(root)
    except yaml.YAMLError as error:
        document.faults.append(_syntax_fault(error, text, file))
    except RecursionError:
        document.faults.append(Fault("ERR-CFG-002", "the file is nested too deeply or contains itself", file))
    return document


class _Reader:
    """One walk over the nodes of a file."""

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._nodes_left = _NODES_MAX

    def read(self, root: yaml.Node | None) -> None:
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == _NULL_TAG):
            return
        if not isinstance(root, yaml.MappingNode):
            self._fault("ERR-CFG-002", "the file must be a mapping of `key: value` lines", root, ())
            return
        self._document.tree = self._mapping(root, ())

    def _tree(self, node: yaml.Node, path: KeyPath) -> Tree:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise RecursionError
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items: list[Tree] = []
            for index, item in enumerate(node.value):
                self._mark((*path, index), item, item)
                items.append(self._tree(item, (*path, index)))
            return items
        return None if node.tag == _NULL_TAG else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE_TAG:
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._fault("ERR-CFG-002", "a key must be a plain word", key, path)
                continue
            name, here = str(key.value), (*path, str(key.value))
            if name in lines:
                self._fault(
                    "ERR-CFG-003", f"the key stands here a second time; the first is in line {lines[name]}", key, here
                )
                continue
            lines[name] = key.start_mark.line + 1
            self._mark(here, key, value)
            tree[name] = self._tree(value, here)
        for merged in self._merged(node):
            for name, value in self._mapping(merged, path).items():
                tree.setdefault(name, value)
        return tree

    def _merged(self, node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
        """The mappings that `<<` takes in; the first that has a key wins."""
        for key, value in node.value:
            if key.tag == _MERGE_TAG:
                nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
                yield from (item for item in nodes if isinstance(item, yaml.MappingNode))

    def _mark(self, path: KeyPath, node: yaml.Node, value: yaml.Node) -> None:
        block = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
        text_line = value.start_mark.line + (2 if block else 1)
        place = Place(node.start_mark.line + 1, node.start_mark.column + 1, text_line)
        self._document.places.setdefault(path, place)

    def _fault(self, code: str, message: str, node: yaml.Node, path: KeyPath) -> None:
        mark = node.start_mark
        fault = Fault(code, message, self._file, mark.line + 1, dotted(path) or None, column=mark.column + 1)
        self._document.faults.append(fault)


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    """Say where the file stops being YAML."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        if "'\\t'" in message:
            message = "a tab stands where YAML wants blanks"
        if mark is not None:
            return Fault("ERR-CFG-002", message, file, mark.line + 1, column=mark.column + 1)
        return Fault("ERR-CFG-002", message, file)
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Fault("ERR-CFG-002", f"U+{error.character:04X} is not allowed in YAML", file, line, column=column)
    return Fault("ERR-CFG-002", str(error), file)
