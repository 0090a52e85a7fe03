"""JSON as strangers write it: names in any case, numbers as text, null for anything.

The Go worker matches names without regard to case, as its library does (protocol job-item.md, section 2.5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from job_item.yamlfile import Tree

_DEPTH_MAX = 32


class Members:
    """The members of a JSON object; what is no object has none."""

    def __init__(self, content: object) -> None:
        self._exact: Mapping[str, Any] = content if isinstance(content, dict) else {}
        self._folded = {name.lower(): value for name, value in self._exact.items()}

    def get(self, name: str) -> Any:
        """The value of a member; one with exactly this name wins. None where there is none."""
        return self._exact[name] if name in self._exact else self._folded.get(name.lower())

    def text(self, name: str) -> str:
        """A member as text; empty where it is none."""
        value = self.get(name)
        return value if isinstance(value, str) else str(value) if type(value) is int else ""

    def objects(self, name: str) -> Iterator[Members]:
        """The objects in a list."""
        value = self.get(name)
        yield from (Members(entry) for entry in (value if isinstance(value, list) else ()) if isinstance(entry, dict))

    def number(self, name: str) -> float:
        """A member as a number that is not negative: a number, a text that is one, else 0."""
        value = self.get(name)
        try:
            number = float(value) if isinstance(value, (int, float, str)) else 0.0
        except (ValueError, OverflowError):
            return 0.0
        return number if math.isfinite(number) and number > 0 else 0.0


def tree_of(value: object, depth: int = 0) -> Tree:
    """JSON as the tree that a settings file would be: every scalar is text.

    Raises ValueError for what is nested too deeply.
    """
    if depth > _DEPTH_MAX:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        return {str(key): tree_of(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [tree_of(item, depth + 1) for item in value]
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 4222.0, as languages write it that know no whole numbers
    return json.dumps(value)


def lowered(value: object, depth: int) -> object:
    """The same with the names of the outermost `depth` objects in lower case; an exact name wins over another."""
    if isinstance(value, list):
        return [lowered(item, depth) for item in value]
    if not isinstance(value, dict) or depth == 0:
        return value
    others = {key.lower(): lowered(item, depth - 1) for key, item in value.items() if key != key.lower()}
    return others | {key: lowered(item, depth - 1) for key, item in value.items() if key == key.lower()}
