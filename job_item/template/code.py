"""Reads commands: words, operators, groups, cases, arrays and tests."""

from __future__ import annotations

import re

from job_item.template.frames import Frame, Kind, Want
from job_item.template.quotes import SPECIAL, read_special
from job_item.template.reader import MORE, Reader
from job_item.template.words import end_descriptor, end_word

_NAME = re.compile(r"[A-Za-z_]\w*")
_EXTGLOB = "?*+@!"


def read_code(reader: Reader, char: str, after: int) -> int:
    """One character of commands."""
    stack = reader.stack
    if char in SPECIAL:
        return read_special(reader, char, after)
    if char in " \t":
        end_word(stack)
        stack.change(glued=False)
        return after
    if char == "\n":
        return _read_newline(reader, after)
    if char == "#" and not stack.top.word.started and not stack.top.glued:
        stack.push(Kind.COMMENT)
        return after
    if char in ";&|<>()":
        if stack.top.kind is Kind.TEST:
            return _read_test_operator(reader, char, after)
        return _OPERATORS[char](reader, after)
    if char == "[" and _begins_subscript(stack.top):
        stack.push(Kind.SUBSCRIPT, quoted=True)
        return after
    stack.add_literal(char, quoted=False)
    return after


def _begins_subscript(frame: Frame) -> bool:
    word = frame.word
    if word.quoted or word.dynamic:
        return False
    if frame.kind is Kind.ARRAY:
        return not word.started
    declares = frame.want is Want.COMMAND or (frame.want is Want.ARGUMENT and frame.command.is_declaring)
    return frame.kind is not Kind.TEST and declares and bool(_NAME.fullmatch(word.text))


def _read_newline(reader: Reader, after: int) -> int:
    stack = reader.stack
    end_word(stack)
    stack.change(glued=False)
    if stack.top.kind not in (Kind.TEST, Kind.ARRAY) and stack.top.want not in (
        Want.PATTERN,
        Want.LOOP_IN,
        Want.CASE_IN,
    ):
        stack.end_command()
    if any(frame.heredocs for frame in stack.frames[:-1]):
        stack.lose("a here-document begins within another construct")
    heredocs = stack.top.heredocs
    if heredocs:
        stack.change(heredocs=())
        stack.push(Kind.HEREDOC)
        stack.change(heredocs=heredocs)
    return after


def _read_semicolon(reader: Reader, after: int) -> int:
    stack = reader.stack
    end_word(stack)
    stack.end_command()
    if stack.top.kind is not Kind.CASE:
        return after
    char, beyond = reader.peek(after)
    if reader.needs_more(char):
        return MORE
    if char and char in ";&":
        stack.change(want=Want.PATTERN)
        another, further = reader.peek(beyond)
        if reader.needs_more(another):
            return MORE
        return further if char == ";" and another == "&" else beyond
    return after


def _read_ampersand(reader: Reader, after: int) -> int:
    char, beyond = reader.peek(after)
    if reader.needs_more(char):
        return MORE
    end_word(reader.stack)
    if char == ">" and reader.shell in ("bash", "ksh"):
        return _begin_redirection(reader, beyond, Want.REDIRECTION, more=">")
    reader.stack.end_command()
    return after


def _read_bar(reader: Reader, after: int) -> int:
    stack = reader.stack
    end_word(stack)
    if stack.top.want is not Want.PATTERN:
        stack.end_command()
    return after


def _read_less(reader: Reader, after: int) -> int:
    char, beyond = reader.peek(after)
    if reader.needs_more(char):
        return MORE
    if char == "(":
        return _begin_process(reader, beyond)
    if char != "<":
        return _read_redirection(reader, char, after, beyond)
    third, further = reader.peek(beyond)
    if reader.needs_more(third):
        return MORE
    end_descriptor(reader.stack)
    if third == "<":
        return _begin_redirection(reader, further, Want.REDIRECTION)
    if reader.levels:
        reader.stack.lose("a here-document stands within backquotes")
    after = _begin_redirection(reader, further if third == "-" else beyond, Want.DELIMITER)
    reader.stack.change(strip_tabs=third == "-")
    return after


def _read_greater(reader: Reader, after: int) -> int:
    char, beyond = reader.peek(after)
    if reader.needs_more(char):
        return MORE
    return _begin_process(reader, beyond) if char == "(" else _read_redirection(reader, char, after, beyond)


def _read_redirection(reader: Reader, char: str, after: int, beyond: int) -> int:
    end_descriptor(reader.stack)
    if char == "&":
        return _begin_redirection(reader, beyond, Want.DESCRIPTOR)
    return _begin_redirection(reader, beyond if char and char in ">|" else after, Want.REDIRECTION)


def _begin_redirection(reader: Reader, at: int, want: Want, more: str = "") -> int:
    frame = reader.stack.top
    redirecting = frame.want in (Want.REDIRECTION, Want.DESCRIPTOR, Want.DELIMITER)
    reader.stack.change(want=want, back=frame.back if redirecting else frame.want)
    char, beyond = reader.peek(at)
    return beyond if more and char == more else at


def _begin_process(reader: Reader, beyond: int) -> int:
    reader.stack.mark_tags()
    reader.stack.add_expansion()
    reader.stack.push(Kind.SUBSTITUTION)
    return beyond


def _read_open(reader: Reader, after: int) -> int:
    """`(`: a group, an array, arithmetic, a function's parentheses, a pattern."""
    stack = reader.stack
    frame, word = stack.top, stack.top.word
    char, beyond = reader.peek(after)
    if reader.needs_more(char):
        return MORE
    if word.assigned and word.text.endswith("=") and not word.dynamic:
        stack.findings.arrays = True
        stack.push(Kind.ARRAY)
    elif word.started and word.tail[-1:] and word.tail[-1:] in _EXTGLOB and not _is_negation(frame):
        stack.add_expansion()
        stack.push(Kind.GLOB)
    elif frame.want is Want.PATTERN and not word.started:
        pass
    elif char == "(" and not word.started and frame.want in (Want.COMMAND, Want.LOOP_NAME):
        stack.push(Kind.ARITHMETIC, phase="command", quoted=True)
        return beyond
    else:
        _open_group(reader)
    return after


def _is_negation(frame: Frame) -> bool:
    return frame.want is Want.COMMAND and frame.word.text == "!"


def _open_group(reader: Reader) -> None:
    stack = reader.stack
    frame, word = stack.top, stack.top.word
    names_function = frame.want is Want.ARGUMENT and not word.started and not frame.command.count
    if word.tags or not (frame.want in (Want.COMMAND, Want.FUNCTION) or names_function):
        stack.mark_tags()
        stack.lose("`(` stands where no shell expects it")
    stack.end_command()
    stack.push(Kind.GROUP)


def _read_close(reader: Reader, after: int) -> int:
    stack = reader.stack
    end_word(stack)
    frame = stack.top
    if frame.heredocs:
        stack.lose("a here-document begins within another construct")
    if frame.kind is Kind.CASE and frame.want is Want.PATTERN:
        stack.change(want=Want.COMMAND)
    elif frame.kind in (Kind.SUBSTITUTION, Kind.ARRAY):
        stack.pop()
    elif frame.kind is Kind.GROUP:
        stack.pop()
        stack.end_command()
    else:
        stack.lose("`)` stands where no shell expects it")
    return after


def _read_test_operator(reader: Reader, char: str, after: int) -> int:
    if char in "<>":
        following, beyond = reader.peek(after)
        if reader.needs_more(following):
            return MORE
        if following == "(":
            return _begin_process(reader, beyond)
    end_word(reader.stack)
    reader.stack.change(glued=True)
    return after


def read_glob(reader: Reader, char: str, after: int) -> int:
    """Within an extended pattern such as @(a|b)."""
    stack = reader.stack
    if char in SPECIAL:
        return read_special(reader, char, after)
    if char == "(":
        stack.change(depth=stack.top.depth + 1)
    elif char == ")" and stack.top.depth:
        stack.change(depth=stack.top.depth - 1)
    elif char == ")":
        stack.pop()
    return after


_OPERATORS = {
    ";": _read_semicolon,
    "&": _read_ampersand,
    "|": _read_bar,
    "<": _read_less,
    ">": _read_greater,
    "(": _read_open,
    ")": _read_close,
}
