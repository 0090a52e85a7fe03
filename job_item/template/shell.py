"""The scanner of POSIX sh and bash text: follows quotes and commands over the runs of text between tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from job_item.template.code import read_code, read_glob
from job_item.template.expansions import read_arithmetic, read_brace, read_subscript
from job_item.template.frames import CODE, Kind, State
from job_item.template.quotes import read_ansi, read_comment, read_double, read_heredoc, read_single
from job_item.template.reader import MORE, Reader
from job_item.template.stack import Findings, Stack

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh"})
"""Shells for whose text values can be quoted."""

_HANDLERS: Mapping[Kind, Callable[[Reader, str, int], int]] = MappingProxyType(
    dict.fromkeys(CODE, read_code)
    | {
        Kind.GLOB: read_glob,
        Kind.SINGLE: read_single,
        Kind.DOUBLE: read_double,
        Kind.LOCALE: read_double,
        Kind.ANSI: read_ansi,
        Kind.BRACE: read_brace,
        Kind.ARITHMETIC: read_arithmetic,
        Kind.SUBSCRIPT: read_subscript,
        Kind.COMMENT: read_comment,
        Kind.HEREDOC: read_heredoc,
    }
)


def scan(state: State, text: str, findings: Findings, *, offset: int, shell: str, final: bool) -> State:
    """Read `text`, which stands at `offset`, from `state` on; `final`: a tag follows, no token goes on behind it."""
    if state.lost:
        return state
    stack = Stack(state, findings)
    reader = Reader(stack, state.pending, text, offset=offset, shell=shell, final=final)
    at = 0
    while at < len(reader.text) and not stack.lost:
        char, after, ended = reader.unit(at)
        if ended:
            _end_backtick(stack, ended)
            at = after
            continue
        beyond = _HANDLERS[stack.top.kind](reader, char, after) if char else MORE
        if beyond == MORE:
            return stack.state(reader.text[at:])
        findings.evaluate(reader.text[at:beyond] if stack.is_evaluated else " ")
        at = beyond
    return stack.state("")


def _end_backtick(stack: Stack, level: int) -> None:
    """The backquote of this level ends, whatever is open within it."""
    opened = [at for at, frame in enumerate(stack.frames) if frame.kind is Kind.BACKTICK][level - 1]
    within = [frame.kind for frame in stack.frames[opened + 1 :]]
    if any(kind is not Kind.COMMENT for kind in within) or stack.frames[opened].heredocs:
        stack.lose("a backquote ends within quotes")
    del stack.frames[opened:]
