"""What pydantic finds wrong with a tree of settings, said in plain words, with the nearest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from job_item.kinds import WITHOUT_IT, blemish
from job_item.quantity import Unfit, shown
from job_item.redact import is_secret_name
from job_item.section import Section
from job_item.settings import Settings
from job_item.yamlfile import KeyPath

_WANTED = (
    (re.compile(r"int_.*"), "a whole number"),
    (re.compile(r"float_.*|finite_number"), "a number"),
    (re.compile(r"bool_.*"), "true or false"),
    (re.compile(r"string_type"), "a text"),
    (re.compile(r"model_type|model_attributes_type|dict_type|mapping_type"), "a mapping (indented `key: value` lines)"),
    (re.compile(r"tuple_type|list_type"), "a list (lines that begin with `- `)"),
)
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the setting at `path`; the file and line are added by who knows them."""

    path: KeyPath
    code: str
    message: str
    remedy: str | None = None


def findings(error: ValidationError) -> Iterator[Finding]:
    """All that pydantic found, in plain words."""
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield Finding(path, *_in_words(path, detail))


def _in_words(path: KeyPath, detail: ErrorDetails) -> tuple[str, str, str | None]:
    """Code, message and remedy of one finding."""
    kind, context = detail["type"], detail.get("ctx", {})
    unfit = context.get("error")
    if isinstance(unfit, Unfit):
        return unfit.code, str(unfit), unfit.remedy
    if kind == "missing":
        return "ERR-CFG-006", "is missing", None
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "string_unicode":
        return "ERR-CFG-007", str(blemish(detail["input"])), WITHOUT_IT
    given = "this" if path and is_secret_name(str(path[-1])) else shown(detail["input"])
    wish = _wish(kind, context)
    if wish is not None:
        return "ERR-CFG-007", f"must {wish}, not {given}{_meant(detail, context)}", None
    wanted = next((wanted for pattern, wanted in _WANTED if pattern.fullmatch(kind)), "something else")
    return "ERR-CFG-005", f"wants {wanted}, not {given}", None


def _wish(kind: str, context: dict[str, Any]) -> str | None:
    """What a value of the right kind must be to be in its bounds."""
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"be {words} {context[bound]:.12g}"
    return {"string_too_short": "not be empty", "literal_error": f"be {context.get('expected')}"}.get(kind)


def _meant(detail: ErrorDetails, context: dict[str, Any]) -> str:
    """Ask for the nearest of the words that are allowed."""
    near = difflib.get_close_matches(str(detail["input"]), re.findall(r"'([^']*)'", context.get("expected", "")), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _unknown(path: KeyPath) -> tuple[str, str, str | None]:
    """Say that a key is unknown, and which one may be meant: a similar one here, or the same one elsewhere."""
    name, section = str(path[-1]), section_at(path[:-1])
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names(section), 1)
    if near:
        return "ERR-CFG-004", f"unknown key; did you mean `{near[0]}`?", None
    homes = [home for home, other in _homes(Settings, "") if name in names(other)]
    if homes:
        return "ERR-CFG-004", f"unknown key here; it belongs in {' or '.join(homes)}", None
    return "ERR-CFG-004", "unknown key", f"Valid here: {', '.join(names(section))}."


def names(section: type[Section]) -> list[str]:
    """The keys that a section takes, as they are written in the file."""
    return [entry.alias or name for name, entry in section.model_fields.items()]


def section_at(path: Sequence[str | int]) -> type[Section]:
    """The section that is described at `path`."""
    section: type[Section] = Settings
    for part in path:
        if isinstance(part, str):
            section = _sections(section)[part]
    return section


def _sections(section: type[Section]) -> dict[str, type[Section]]:
    """The sections below a section, by their key."""
    found = ((name, _section_in(entry.annotation)) for name, entry in section.model_fields.items())
    return {name: inner for name, inner in found if inner is not None}


def _section_in(annotation: Any) -> type[Section] | None:
    """The section in an annotation such as `Api` or `tuple[Job, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((inner for part in get_args(annotation) if (inner := _section_in(part))), None)


def _homes(section: type[Section], prefix: str) -> Iterator[tuple[str, type[Section]]]:
    """All sections with their place: "the top level", `limits`, `jobs[].retries`."""
    yield (f"`{prefix.removesuffix('.')}`" if prefix else "the top level"), section
    for name, inner in _sections(section).items():
        several = "[]" if str(section.model_fields[name].annotation).startswith("tuple") else ""
        yield from _homes(inner, f"{prefix}{name}{several}.")
