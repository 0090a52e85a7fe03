"""Write job_item/config.schema.json, by which editors complete and check a configuration while it is written.

It takes all that the node takes; what only the node can tell (a template, a directory, two keys that exclude each
other) is for `job_item check`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from job_item.settings import Settings
from tools.settings_models import Setting, settings_of

FILE = Path(__file__).resolve().parent.parent / "job_item" / "config.schema.json"

VARIABLE = {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"}
SCALAR = ["string", "number", "boolean"]
"""What may stand for a text: scalars stay as they are written."""
AMOUNT = r"([0-9]+(\.[0-9]+)?|\.[0-9]+)"
TEXTS: dict[str, Any] = {"type": "array", "items": {"type": SCALAR}}
MAPPING: dict[str, Any] = {"type": "object", "additionalProperties": {"type": [*SCALAR, "null"]}}
KINDS: dict[str, list[dict[str, Any]]] = {
    "text": [{"type": SCALAR}],
    "secret text": [{"type": SCALAR}],
    "text or number": [{"type": SCALAR}],
    "name or number": [{"type": SCALAR}],
    "yes or no": [{"type": ["boolean", "number", "string"]}],
    "whole number": [{"type": "integer"}, VARIABLE],
    "number": [{"type": "number"}, VARIABLE],
    "duration": [{"type": "number"}, {"type": "string", "pattern": rf"^\s*({AMOUNT}\s*(ms|s|m|h|d)\s*)+$"}, VARIABLE],
    "size": [
        {"type": "number"},
        {"type": "string", "pattern": rf"^\s*{AMOUNT}\s*([KkMmGgTt][Ii]?)?[Bb]\s*$"},
        VARIABLE,
    ],
    "text or list of texts": [{"type": SCALAR}, TEXTS],
    "list of texts": [TEXTS],
    "list of texts, or text with commas": [TEXTS, {"type": "string"}],
    "list of texts, or mapping": [TEXTS, MAPPING],
    "mapping of texts": [MAPPING],
    "anything": [{}],
}
LIMITS = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}


def schema() -> dict[str, Any]:
    """The whole schema."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of a job_item node",
        **section(Settings),
        "type": ["object", "null"],
    }


def section(model: type[BaseModel]) -> dict[str, Any]:
    """A mapping with known keys."""
    settings = tuple(settings_of(model))
    needed = [one.name for one in settings if one.is_required and not one.said_default]
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {one.name: setting_schema(one) for one in settings},
    }
    return {**found, "required": needed} if needed else found


def setting_schema(setting: Setting) -> dict[str, Any]:
    """One setting: its meaning, and all the ways of writing it. A key without a value is as good as absent."""
    ways = ways_of(setting)
    if not setting.is_required and {} not in ways:
        ways = [*ways, {"type": "null"}]
    return {"description": plain(setting.text), **(ways[0] if len(ways) == 1 else {"anyOf": ways})}


def ways_of(setting: Setting) -> list[dict[str, Any]]:
    """The ways of writing a setting."""
    if setting.below:
        sections = [section(model) for model in setting.below]
        return [{"type": "array", "items": sections[0]}] if setting.is_list else sections
    if setting.kind == "list of":
        return [{"type": "array", "items": {"enum": list(setting.choices)}}]
    if setting.choices:
        is_level = "WARNING" in setting.choices
        words = [*setting.choices, "WARN"] if is_level else setting.choices
        lower = [word.lower() for word in words] if is_level else []
        return [{"enum": [*words, *lower]}, VARIABLE]
    ways = [dict(way) for way in KINDS[setting.kind]]
    for bound in setting.bounds:
        sign, _, number = bound.partition(" ")
        ways[0][LIMITS[sign]] = float(number) if "." in number else int(number)
    return ways


def plain(text: str) -> str:
    """A text without links."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)


def text() -> str:
    """The content of the file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
