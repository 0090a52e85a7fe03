"""How one log event becomes one line: JSON for programs, text for people, never longer than a bound."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Render = Callable[[Mapping[str, object]], str]
"""Makes a line, without its line end, of an event that has plain JSON types only."""

FIRST = ("time", "level", "room", "event", "code")
"""The keys that every line begins with."""
_SHORT_TEXT = 64
_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_line(event: Mapping[str, object]) -> str:
    """One JSON object."""
    return _ENCODER.encode(event)


def text_line(event: Mapping[str, object]) -> str:
    """`<time> <level> <room> <event> key=value ...`; a traceback follows on lines of its own, indented."""
    return _text(event, Paint())


def colour_line(event: Mapping[str, object]) -> str:
    """As `text_line`, for a terminal."""
    return _text(event, Paint(_DIM, _COLOURS.get(str(event.get("level")), ""), _BOLD, _RESET))


@dataclass(frozen=True, slots=True)
class Paint:
    """The signs that switch a terminal's colours; empty ones paint nothing."""

    dim: str = ""
    level: str = ""
    bold: str = ""
    reset: str = ""


def _text(event: Mapping[str, object], paint: Paint) -> str:
    time, level, room, name = (printable(str(event.get(key, ""))) for key in FIRST[:4])
    head = f"{paint.dim}{time}{paint.reset} {paint.level}{level.upper():<8}{paint.reset} {room:<10}"
    rest = "".join(
        f" {paint.dim}{printable(key)}={paint.reset}{_value(value)}"
        for key, value in event.items()
        if key not in FIRST[:4] and key != "exception"
    )
    trace = "".join(f"\n    {printable(line)}" for line in str(event.get("exception", "")).splitlines())
    return f"{head} {paint.bold}{name}{paint.reset}{rest}{trace}"


def _value(value: object) -> str:
    """A value that cannot be mistaken for anything else on the line."""
    if not isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    is_plain = value.isprintable() and value and not any(sign in ' "=' for sign in value)
    return value if is_plain else printable(json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """`text` with everything that could move a terminal's cursor or hide text written as an escape."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def fit(event: Mapping[str, object], render: Render, limit_bytes: int) -> bytes:
    """Render `event` in at most `limit_bytes`, the line end included; long values lose their middle, which is marked.

    When even that is too much, only the keys that every line has are left, and `cut_bytes`, the size of the whole line.
    """
    whole = _encode(event, render)
    if len(whole) <= limit_bytes:
        return whole
    for bound in (limit_bytes // 3, limit_bytes // 12, _SHORT_TEXT):
        line = _encode({key: _shorten(value, bound) for key, value in event.items()}, render)
        if len(line) <= limit_bytes:
            return line
    least = {key: _shorten(event[key], _SHORT_TEXT) for key in FIRST if key in event}
    return _encode({**least, "cut_bytes": len(whole)}, render)


def _encode(event: Mapping[str, object], render: Render) -> bytes:
    return (render(event) + "\n").encode(errors="backslashreplace")


def _shorten(value: object, bound: int) -> object:
    """Cut the middle out of a value whose text is longer than `bound`."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= bound:
        return value
    half = bound // 2
    return f"{text[:half]}...[{len(text) - 2 * half} characters cut]...{text[-half:]}"
