"""The data of a new job as it is written on a command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from job_item.errors import BadMessage

Form = dict[str, Any] | list[Any]


def read_form(words: Sequence[str], source: str | None) -> Form:
    """Make the data of a job of `key=value` words, or read it from `source`: a file of JSON, `-` for standard input.

    Raises `BadMessage` (ERR-SUP-054).
    """
    if source is None:
        return parse_words(words)
    if words:
        raise BadMessage("ERR-SUP-054", "Data is given twice: as key=value and with --data.", "Use one of the two.")
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise BadMessage(
            "ERR-SUP-054", f"The file {source} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise BadMessage(
            "ERR-SUP-054", f"The data in {_name(source)} is no UTF-8 text: {error}.", "Save it as UTF-8."
        ) from error
    form = _parse_json(text, _name(source))
    if not isinstance(form, dict | list):
        raise BadMessage(
            "ERR-SUP-054",
            f"The data in {_name(source)} is neither an object nor an array.",
            "Write `{...}` or `[...]`.",
        )
    return form


def parse_words(words: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` as a string and `key:=json` as the JSON value it spells. Raises `BadMessage` (ERR-SUP-054)."""
    form: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        is_json = key.endswith(":")
        key = key.removesuffix(":") if is_json else key
        if not (equals and key):
            raise BadMessage(
                "ERR-SUP-054", f"{word!r} is no key=value.", "Write name=Ada for text, count:=3 for a JSON value."
            )
        if key in form:
            raise BadMessage(
                "ERR-SUP-054", f"The key {key!r} is given twice.", "Give each key once; a list is key:='[1, 2]'."
            )
        form[key] = _parse_json(value, f"the value of {key!r}") if is_json else value
    return form


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadMessage(
            "ERR-SUP-054",
            f"There is no JSON in {place}: {error}.",
            "Text needs double quotes in JSON; key=value takes it as it is.",
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _name(source: str) -> str:
    return "standard input" if source == "-" else source
