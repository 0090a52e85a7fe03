"""Reads ${...}, arithmetic and subscripts."""

from __future__ import annotations

from job_item.template.frames import Kind, Want
from job_item.template.quotes import NOT_HARMLESS, SPECIAL, is_name, read_escape, read_special
from job_item.template.reader import MORE, Reader


def read_brace(reader: Reader, char: str, after: int) -> int:
    """Within ${...}: the parameter, its operator, the word after it."""
    stack = reader.stack
    if char == "}":
        name = stack.top.text
        stack.pop()
        stack.add_name(name)
        return after
    if stack.top.phase == "name":
        return _read_parameter(reader, char, after)
    if char == "'" and stack.top.quoted:
        return _read_apostrophe(reader, after)
    return read_special(reader, char, after) if char in SPECIAL else after


def _read_parameter(reader: Reader, char: str, after: int) -> int:
    stack = reader.stack
    text = stack.top.text
    if is_name(char) or (not text and char in "@*#?-$!") or (text == "!" and char in "@*"):
        stack.change(text=text + char)
        return after
    if char == "[":
        stack.push(Kind.SUBSCRIPT, quoted=True)
        return after
    if char == ":":
        sign, _ = reader.peek(after)
        if reader.needs_more(sign):
            return MORE
        if sign and sign in "-=+?":
            return after
        stack.change(phase="offset")
        return after
    if char == "\\":
        return read_escape(reader, after)
    stack.change(phase="default" if char in "-=+?" else "other")
    return after


def _read_apostrophe(reader: Reader, after: int) -> int:
    """`'` within "${x:-...}": bash pairs it, dash takes it as it is; what lies between must mean the same in both."""
    stack = reader.stack
    at = after
    while True:
        char, beyond, ended = reader.unit(at)
        if not char and not reader.final:
            return MORE
        if not char or ended or char in NOT_HARMLESS + "'":
            break
        at = beyond
    if char != "'" or ended:
        stack.lose('shells differ on an apostrophe within "${...}"')
    return beyond


def read_arithmetic(reader: Reader, char: str, after: int) -> int:
    """Within $((...)) or ((...))."""
    stack = reader.stack
    if char == "(":
        stack.change(depth=stack.top.depth + 1)
    elif char == ")" and stack.top.depth:
        stack.change(depth=stack.top.depth - 1)
    elif char == ")":
        return _end_arithmetic(reader, after)
    elif char == "'":
        stack.lose("arithmetic holds an apostrophe")
    elif char in SPECIAL:
        return read_special(reader, char, after)
    return after


def _end_arithmetic(reader: Reader, after: int) -> int:
    stack = reader.stack
    char, beyond = reader.peek(after)
    if reader.needs_more(char):
        return MORE
    if char != ")":
        stack.lose("`((` is not closed by `))`: write `( (` for a group within a group")
        return after
    is_command = stack.top.phase == "command"
    stack.pop()
    if is_command:
        stack.end_command(Want.COMMAND)
    return beyond


def read_subscript(reader: Reader, char: str, after: int) -> int:
    """Within name[...]."""
    stack = reader.stack
    if char == "[":
        stack.change(depth=stack.top.depth + 1)
    elif char == "]" and stack.top.depth:
        stack.change(depth=stack.top.depth - 1)
    elif char == "]":
        _end_subscript(reader)
    elif char in SPECIAL:
        return read_special(reader, char, after)
    elif char in "\n;&|":
        stack.lose("`[` is not closed")
    return after


def _end_subscript(reader: Reader) -> None:
    stack = reader.stack
    stack.pop()
    if stack.top.kind is not Kind.BRACE:
        stack.findings.arrays = True
        stack.add_literal("[", quoted=False)
        stack.add_literal("]", quoted=False)
