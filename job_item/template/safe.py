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
_RESERVED = frozenset("if then elif else fi do done case esac while until for in select function time coproc".split())
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_LIMIT = 1 << 63
_IN_DOUBLE = str.maketrans({char: "\\" + char for char in '\\"$`'})
_IN_BRACE = str.maketrans({char: "\\" + char for char in '\\"$`}'} | {"'": '"\'"'})
_IN_BACKTICK = str.maketrans({"\\": "\\\\", "`": "\\`"})
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
    encode = _quoted(place)
    for _ in range(place.backticks):
        encode = _in_backtick(encode)
    return _without_dash(encode, name) if place.no_dash else encode


def _quoted(place: Place) -> Encode:
    glue = '""' if place.glued else ""
    match place.style:
        case Style.WORD if place.always or place.glued:
            return quote
        case Style.WORD:
            return _word
        case Style.SINGLE:
            return lambda value: value.replace("'", "'\\''")
        case Style.DOUBLE:
            return lambda value: glue + value.translate(_IN_DOUBLE)
        case Style.BRACE:
            return lambda value: glue + value.translate(_IN_BRACE)
        case Style.COMMENT:
            return lambda value: _NOT_IN_COMMENT.sub("_", value)
        case _:
            return str


def quote(value: str) -> str:
    """Put `value` into single quotes."""
    return "'" + value.replace("'", "'\\''") + "'"


def _word(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value not in _RESERVED else quote(value)


def _in_backtick(encode: Encode) -> Encode:
    return lambda value: encode(value).translate(_IN_BACKTICK)


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
