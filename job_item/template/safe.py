"""Writes a value so that it is literal text of its word at a place of the shell's text.

Every function here is pure and made once, when the template is loaded (protocol job-item.md, section 9.2, R1).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from job_item.errors import JobFailure
from job_item.template.place import Place, Style

Encode = Callable[[str], str]

NOT_INTEGER = "ERR-RUN-120"
NOT_TEXT = "ERR-RUN-121"
LEADING_DASH = "ERR-RUN-122"

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_PLAIN_IN_BRACE = re.compile(r"[A-Za-z0-9_/:@%+-]*(?:\.[A-Za-z0-9_/:@%+-]+)*")
_RESERVED = frozenset({"case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function"}) | frozenset(
    {"if", "in", "select", "then", "time", "until", "while"}
)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_LIMIT = 1 << 63
_IN_DOUBLE = str.maketrans({char: "\\" + char for char in '\\"$`'})
_IN_BACKTICK = str.maketrans({char: "\\" + char for char in "\\`"})
_OCTAL = {code: f"\\{code:03o}" for code in range(128) if not chr(code).isalnum()}
_PRINTED = {Style.WORD: ('"', '"'), Style.SINGLE: ("'\"", "\"'"), Style.DOUBLE: ("", ""), Style.BRACE: ("", "")}
_NOT_IN_COMMENT = re.compile(r"[^A-Za-z0-9_./:@%+,= -]")


def check_text(value: str, name: str) -> None:
    """Raise JobFailure where `value` cannot be an argument of a process."""
    if "\0" in value:
        raise JobFailure(NOT_TEXT, f"the value of {name} holds a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise JobFailure(NOT_TEXT, f"the value of {name} holds a lone surrogate") from None


def encoder(place: Place, name: str) -> Encode:
    """Make the function that writes values of `name` at `place`."""
    if place.style in (Style.INTEGER, Style.TERM):
        return _integer(name, as_term=place.style is Style.TERM)
    encode = _encode_in_quotes(place)
    if place.backticks:
        encode = _through_backticks(encode, place.backticks)
    return _without_dash(encode, name) if place.no_dash else encode


def _encode_in_quotes(place: Place) -> Encode:
    if place.odd and place.style in _PRINTED:
        return _printed(place)
    if place.style is Style.WORD:
        return quote if place.always or place.glued else _word
    if place.style is Style.DOUBLE:
        return _double_glued if place.glued else _double
    if place.style is Style.BRACE:
        return _substitution if place.glued else _brace
    return {Style.SINGLE: _single, Style.COMMENT: _comment}.get(place.style, str)


def quote(value: str) -> str:
    """Put `value` into single quotes."""
    return f"'{_single(value)}'"


def _single(value: str) -> str:
    return value.replace("'", "'\\''")


def _word(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value not in _RESERVED else quote(value)


def _double(value: str) -> str:
    return value.translate(_IN_DOUBLE)


def _double_glued(value: str) -> str:
    """Close and open the quotes first, so that the name before does not go on."""
    return '""' + value.translate(_IN_DOUBLE)


def _comment(value: str) -> str:
    return _NOT_IN_COMMENT.sub("_", value)


def _brace(value: str) -> str:
    return value if _PLAIN_IN_BRACE.fullmatch(value) else _substitution(value)


def _substitution(value: str) -> str:
    """Have the value printed within "${x:-...}", where bash and dash agree on no way to quote it.

    Bash pairs apostrophes there, takes inner double quotes away before it expands the rest, and looks for braces
    without regard to the nesting. A substitution loses its last line ends, so these follow as they are.
    """
    head = value.rstrip("\n")
    return f"$(printf '{head.translate(_OCTAL)}')" + "\n" * (len(value) - len(head))


def _printed(place: Place) -> Encode:
    """Write a value where shells read quotes in different ways, so that no sign of it can be taken for one."""
    before, after = _PRINTED[place.style]

    def encode(value: str) -> str:
        if _PLAIN_IN_BRACE.fullmatch(value) and not place.glued:
            return quote(value) if place.style is Style.WORD else value
        return f"{before}{_substitution(value)}{after}"

    return encode


def through_backticks(text: str, backticks: tuple[bool, ...]) -> str:
    """Write `text` so that it comes through open backquotes, the last of them the innermost.

    Within double quotes `"` and `$` are escaped too: bash looks for braces there as if there were no backquotes.
    """
    for quoted in reversed(backticks):
        text = text.translate(_IN_DOUBLE if quoted else _IN_BACKTICK)
    return text


def _through_backticks(encode: Encode, backticks: tuple[bool, ...]) -> Encode:
    return lambda value: through_backticks(encode(value), backticks)


def _without_dash(encode: Encode, name: str) -> Encode:
    def encode_or_fail(value: str) -> str:
        if value.startswith("-"):
            raise JobFailure(LEADING_DASH, f"the value of {name} begins with `-`")
        return encode(value)

    return encode_or_fail


def _integer(name: str, *, as_term: bool) -> Encode:
    def encode_or_fail(value: str) -> str:
        if not _INTEGER.fullmatch(value) or not -_LIMIT <= int(value) < _LIMIT:
            raise JobFailure(NOT_INTEGER, f"the value of {name} is used in arithmetic and is not a decimal integer")
        return f"({value})" if as_term and value.startswith("-") else value

    return encode_or_fail
