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
        location = tuple(part for part in detail["loc"] if part != "[key]")
        path, section = _follow(location)
        if detail["type"].startswith("union_tag"):
            path = (*path, "type")
        yield Finding(path, *_in_words(path, section, detail))


def _in_words(path: KeyPath, section: type[Section], detail: ErrorDetails) -> tuple[str, str, str | None]:
    """Code, message and remedy of one finding in `section`."""
    kind, context = detail["type"], detail.get("ctx", {})
    unfit = context.get("error")
    if isinstance(unfit, Unfit):
        return unfit.code, str(unfit), unfit.remedy
    if kind in ("missing", "union_tag_not_found"):
        return "ERR-CFG-006", "is missing", None
    if kind == "extra_forbidden":
        return _unknown(str(path[-1]), section)
    if kind == "string_unicode":
        return "ERR-CFG-007", str(blemish(detail["input"])), WITHOUT_IT
    given = "this" if path and is_secret_name(str(path[-1])) else shown(context.get("tag", detail["input"]))
    wish = _wish(kind, context)
    if wish is not None:
        return "ERR-CFG-007", f"must {wish}, not {given}{_meant(detail, context)}", None
    wanted = next((wanted for pattern, wanted in _WANTED if pattern.fullmatch(kind)), "something else")
    return "ERR-CFG-005", f"wants {wanted}, not {given}", None


def _wish(kind: str, context: dict[str, Any]) -> str | None:
    """What a value of the right kind must be to be in its bounds."""
    if kind == "union_tag_invalid":
        return f"be one of {context['expected_tags']}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"be {words} {context[bound]:.12g}"
    return {"string_too_short": "not be empty", "literal_error": f"be {context.get('expected')}"}.get(kind)


def _meant(detail: ErrorDetails, context: dict[str, Any]) -> str:
    """Ask for the nearest of the words that are allowed."""
    near = difflib.get_close_matches(str(detail["input"]), re.findall(r"'([^']*)'", context.get("expected", "")), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _unknown(name: str, section: type[Section]) -> tuple[str, str, str | None]:
    """Say that a key is unknown, and which one may be meant: a similar one here, or the same one elsewhere."""
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names(section), 1)
    if near:
        return "ERR-CFG-004", f"unknown key; did you mean `{near[0]}`?", None
    homes = list(dict.fromkeys(home for home, other in _homes(Settings, "") if name in names(other)))
    if homes:
        return "ERR-CFG-004", f"unknown key here; it belongs in {' or '.join(homes)}", None
    return "ERR-CFG-004", "unknown key", f"Valid here: {', '.join(names(section))}."


def names(section: type[Section]) -> list[str]:
    """The keys that a section takes, as they are written in the file."""
    return [entry.alias or name for name, entry in section.model_fields.items()]


def section_at(path: Sequence[str | int]) -> type[Section]:
    """The section that is described at `path`; of several kinds, the first."""
    section: type[Section] = Settings
    for part in path:
        if isinstance(part, str):
            section = _sections(section)[part][0]
    return section


def _follow(location: Sequence[str | int]) -> tuple[KeyPath, type[Section]]:
    """The path in the file, and the innermost section, of a place that pydantic names.

    Where a section is one of several kinds, pydantic puts the kind between the section and its key.
    """
    section: type[Section] = Settings
    kinds: dict[str, type[Section]] = {}
    path: list[str | int] = []
    for part in location:
        if isinstance(part, str) and part in kinds:
            section, kinds = kinds[part], {}
            continue
        path.append(part)
        if isinstance(part, str):
            found = _sections(section).get(part, [])
            kinds = {_kind(inner): inner for inner in found} if len(found) > 1 else {}
            section = found[0] if len(found) == 1 else section
    return tuple(path), section


def _sections(section: type[Section]) -> dict[str, list[type[Section]]]:
    """The sections below a section, by their key; several where one of several kinds may stand there."""
    found = ((name, list(_sections_in(entry.annotation))) for name, entry in section.model_fields.items())
    return {name: inner for name, inner in found if inner}


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The sections in an annotation such as `Api`, `tuple[Job, ...]` or `Nats | Redis`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)


def _kind(section: type[Section]) -> str:
    """The value of `type` that asks for this kind of section."""
    return str(get_args(section.model_fields["type"].annotation)[0])


def _homes(section: type[Section], prefix: str) -> Iterator[tuple[str, type[Section]]]:
    """All sections with their place: "the top level", `limits`, `jobs[].retries`."""
    yield (f"`{prefix.removesuffix('.')}`" if prefix else "the top level"), section
    for name, kinds in _sections(section).items():
        several = "[]" if str(section.model_fields[name].annotation).startswith("tuple") else ""
        for inner in kinds:
            kind = f" of type {_kind(inner)}" if len(kinds) > 1 else ""
            yield from _homes(inner, f"{prefix}{name}{several}{kind}.")
