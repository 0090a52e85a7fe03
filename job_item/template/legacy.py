"""Renders templates exactly as the Go worker does (protocol job-item.md, sections 4.2, 4.3 and 11).

Only for those who set `render: legacy`: values are HTML-escaped, not quoted, and a mistake in the template becomes the
text of the command. Partials are refused: the answer is that of a file that is not there (section 9.2, R5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_item.template.safe import check_text

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\N{REPLACEMENT CHARACTER}"}
)
_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    raw: bool


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    inverted: bool
    line: int
    elements: list[_Element]


_Element = str | _Variable | _Section


class _Mistake(Exception):  # noqa: N818 - its text is what is run
    """What is wrong with the template, in the words of the original."""


class Legacy:
    """One template; it never fails to compile."""

    def __init__(self, template: str) -> None:
        self._elements: list[_Element] = []
        try:
            _Parser(template).read(None, self._elements)
        except _Mistake as mistake:
            self._elements = [str(mistake)]

    def render(self, members: Mapping[str, Any]) -> str:
        """Write the template with `members`, of which only texts keep their value; raises JobFailure for a NUL."""
        values = {name: value if isinstance(value, str) else "" for name, value in members.items()}
        parts: list[str] = []
        _write(self._elements, values, parts)
        text = "".join(parts)
        check_text(text, "the command")
        return text


def _write(elements: list[_Element], values: Values, parts: list[str]) -> None:
    for element in elements:
        if isinstance(element, str):
            parts.append(element)
        elif isinstance(element, _Variable):
            text = _show(_look_up(values, element.name))
            parts.append(text if element.raw else text.translate(_ESCAPES))
        elif (_look_up(values, element.name) is None) == element.inverted:
            _write(element.elements, values, parts)


def _look_up(values: Values | str | None, name: str) -> Values | str | None:
    """A dotted name is a path, of which a text has no steps; `.` is the value itself."""
    if name != "." and "." in name:
        first, rest = name.split(".", 1)
        return _look_up(_look_up(values, first), rest)
    if name == ".":
        return values
    return values.get(name) if isinstance(values, Mapping) else None


def _show(value: Values | str | None) -> str:
    """A map is shown in the notation of Go, sorted by name."""
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{name}:{value[name]}" for name in sorted(value)) + "]"
    return value or ""


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.open, self.close = "{{", "}}"

    def read(self, section: _Section | None, elements: list[_Element]) -> None:
        """Read up to the end of `section`, or of the template."""
        while True:
            before = self._up_to(self.open)
            if before is None:
                if section is not None:
                    raise _Mistake(f"line {section.line}: Section {section.name} has no closing tag")
                elements.append(self.text[self.at :])
                return
            elements.append(before)
            raw = self.text.startswith("{", self.at)
            content = self._up_to("}" + self.close if raw else self.close)
            if content is None:
                raise self._mistake("unmatched open tag")
            tag = (content + "}" if raw else content).strip(_BLANKS)
            if not tag:
                raise self._mistake("empty tag")
            if self._tag(tag, section, elements):
                return

    def _up_to(self, mark: str) -> str | None:
        """The text before the next `mark`, which is passed; None where there is none."""
        found = self.text.find(mark, self.at)
        if found < 0:
            return None
        text = self.text[self.at : found]
        self.at = found + len(mark)
        self.line += text.count("\n")
        return text

    def _mistake(self, message: str) -> _Mistake:
        return _Mistake(f"line {self.line}: {message}")

    def _tag(self, tag: str, section: _Section | None, elements: list[_Element]) -> bool:
        """Take one tag; True where it closes `section`."""
        name = tag[1:].strip(_BLANKS)
        match tag[0]:
            case "!":
                pass
            case "#" | "^":
                self._section(name, tag[0] == "^", elements)
            case "/":
                if section is None:
                    raise self._mistake("unmatched close tag")
                if name != section.name:
                    raise self._mistake(f"interleaved closing tag: {name}")
                return True
            case ">":
                raise _Mistake(f'Could not find partial "{name}"')
            case "=":
                self._set_delimiters(tag)
            case "{":
                if tag.endswith("}"):
                    elements.append(_Variable(tag[1:-1], True))
            case _:
                elements.append(_Variable(tag, False))
        return False

    def _section(self, name: str, inverted: bool, elements: list[_Element]) -> None:
        if self.text.startswith("\n", self.at):
            self.at += 1
        elif self.text.startswith("\r\n", self.at):
            self.at += 2
        section = _Section(name, inverted, self.line, [])
        self.read(section, section.elements)
        elements.append(section)

    def _set_delimiters(self, tag: str) -> None:
        if len(tag) < 2 or not tag.endswith("="):
            raise self._mistake("Invalid meta tag")
        new = tag[1:-1].strip(_BLANKS).split(" ", 1)
        if len(new) == 2:
            self.open, self.close = new
