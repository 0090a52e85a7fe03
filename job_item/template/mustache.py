"""The Mustache language, read into a small tree (specification of mustache.github.io, version 1.4).

Variables, sections, inverted sections, comments and set-delimiter tags; partials, blocks and parents are refused
(protocol job-item.md, section 9.2, R5). A name has no blanks and no empty part, so that text which only looks like
Mustache (`docker ps --format '{{.Names}}'`) is named instead of silently erased.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from job_item.template.faults import Remark

SYNTAX = "ERR-RUN-101"
SECTION = "ERR-RUN-102"
PARTIAL = "ERR-RUN-103"

_NAME = re.compile(r"\.|[^\s.]+(?:\.[^\s.]+)*")
_LINE_REST = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_DELIMITERS = re.compile(r"([^\s=]+)\s+([^\s=]+)")


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it stands, beginning at `offset` of the template."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A value. An empty `path` is the implicit iterator; `raw` is `{{{x}}}` or `{{&x}}`."""

    path: tuple[str, ...]
    raw: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Section:
    """Text that is rendered once, several times or not at all. `close` is the offset of its closing tag."""

    path: tuple[str, ...]
    inverted: bool
    body: tuple[Node, ...]
    offset: int
    close: int


Node = Text | Tag | Section


def name_of(node: Tag | Section) -> str:
    """The name as the author wrote it."""
    return ".".join(node.path) or "."


def is_task_id(node: Node) -> bool:
    """Whether a node that stands in no section is the job's id, which nobody but the node decides on.

    It begins with a letter or digit; within a section a member of that name would hide it.
    """
    return isinstance(node, Tag) and node.path == ("task_id",)


@dataclass(slots=True)
class _Open:
    """A section that is still being read; the outermost one is the template itself."""

    name: str
    inverted: bool
    offset: int
    nodes: list[Node] = field(default_factory=list)


def parse(text: str) -> tuple[tuple[Node, ...], tuple[Remark, ...]]:
    """Read `text`; with remarks the tree is not to be used."""
    parser = _Parser(text)
    parser.read()
    return tuple(parser.sections[0].nodes), tuple(parser.remarks)


def _path(name: str) -> tuple[str, ...]:
    return () if name == "." else tuple(name.split("."))


class _Parser:
    """Reads one template from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.open, self.close = "{{", "}}"
        self.sections = [_Open("", False, 0)]
        self.remarks: list[Remark] = []

    def read(self) -> None:
        position = 0
        while (start := self.text.find(self.open, position)) >= 0:
            inner, end = self._bounds(start)
            if end < 0:
                self._remark(SYNTAX, f"the tag that opens here is never closed by {self.close!r}", start)
                return
            content = self.text[start + len(self.open) : inner]
            begin = start
            if content[:1] in "#^/!=<>$" and content:
                begin, end = self._standalone(position, start, end)
            self._add_text(position, begin)
            self._tag(content, start)
            position = end
        self._add_text(position, len(self.text))
        for section in self.sections[1:]:
            self._remark(SECTION, f"section {section.name!r} has no closing tag", section.offset)

    def _bounds(self, start: int) -> tuple[int, int]:
        """Where the content of the tag at `start` ends, and where the text goes on."""
        sign = self.text[start + len(self.open) : start + len(self.open) + 1]
        tail = {"{": "}", "=": "="}.get(sign, "")
        inner = self.text.find(tail + self.close, start + len(self.open) + (sign == "="))
        return inner, (inner + len(tail) + len(self.close) if inner >= 0 else -1)

    def _standalone(self, position: int, start: int, end: int) -> tuple[int, int]:
        """A section, comment or delimiter tag that is alone on its line takes the whole line with it."""
        line = max(self.text.rfind("\n", 0, start) + 1, 0)
        rest = _LINE_REST.match(self.text, end)
        if rest is None or self.text[line:start].strip(" \t") or line < position:
            return start, end
        return line, rest.end()

    def _add_text(self, start: int, end: int) -> None:
        if end > start:
            self.sections[-1].nodes.append(Text(self.text[start:end], start))

    def _tag(self, content: str, offset: int) -> None:
        sign, name = content[:1], content[1:].strip()
        if sign == "!":
            return
        if sign == "=":
            self._set_delimiters(name, offset)
        elif sign in (">", "<", "$"):
            self._remark(PARTIAL, f"partials, parents and blocks ({sign}{name}) are not supported", offset)
        elif sign in ("#", "^"):
            self._check_name(name, offset)
            self.sections.append(_Open(name, sign == "^", offset))
        elif sign == "/":
            self._close_section(name, offset)
        else:
            raw = sign in ("{", "&")
            name = name if raw else content.strip()
            self._check_name(name, offset)
            self.sections[-1].nodes.append(Tag(_path(name), raw, offset))

    def _check_name(self, name: str, offset: int) -> None:
        if not name:
            self._remark(SYNTAX, "the tag is empty", offset)
        elif not _NAME.fullmatch(name):
            self._remark(SYNTAX, f"{name!r} is not a name of a value", offset)

    def _close_section(self, name: str, offset: int) -> None:
        if len(self.sections) == 1:
            self._remark(SECTION, f"section {name!r} is closed but was not opened", offset)
            return
        section = self.sections.pop()
        if section.name != name:
            self._remark(SECTION, f"section {section.name!r} must be closed before {name!r}", offset)
        body = tuple(section.nodes)
        node = Section(_path(section.name), section.inverted, body, section.offset, offset)
        self.sections[-1].nodes.append(node)

    def _set_delimiters(self, content: str, offset: int) -> None:
        found = _DELIMITERS.fullmatch(content)
        if found is None:
            self._remark(SYNTAX, "a set-delimiter tag holds two new delimiters, as in {{=<% %>=}}", offset)
        else:
            self.open, self.close = found.groups()

    def _remark(self, code: str, message: str, offset: int) -> None:
        self.remarks.append(Remark(code, message, offset))
