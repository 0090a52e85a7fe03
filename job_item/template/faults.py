"""What can be wrong with a template, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from job_item.codes import REGISTER
from job_item.errors import NodeError


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One thing that is wrong with a template; `line` and `column` count from 1 within the command (or its word)."""

    code: str
    message: str
    line: int
    column: int
    remedy: str


class TemplateError(NodeError):
    """A command's template cannot be used. Holds all its faults at once."""

    def __init__(self, faults: tuple[TemplateFault, ...]) -> None:
        super().__init__(faults[0].code, "; ".join(fault.message for fault in faults), faults[0].remedy)
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Remark:
    """A fault or warning at an offset of the template's text, before its line and column are known."""

    code: str
    message: str
    offset: int
    warning: bool = False


def locate(remarks: Iterable[Remark], text: str, place: str = "") -> tuple[TemplateFault, ...]:
    """Turn `remarks` on `text` into faults in the order of the text; `place` says which word of a list it is."""
    found = []
    for remark in sorted(set(remarks), key=lambda each: (each.offset, each.code, each.message)):
        line = text.count("\n", 0, remark.offset) + 1
        column = remark.offset - (text.rfind("\n", 0, remark.offset) + 1) + 1
        message = f"{place}line {line}, column {column}: {remark.message}"
        found.append(TemplateFault(remark.code, message, line, column, REGISTER[remark.code].remedy))
    return tuple(found)
