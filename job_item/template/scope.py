"""Looks values up and turns them into text, as Mustache does with data that came as JSON."""

from __future__ import annotations

import json
from typing import Any

Stack = tuple[Any, ...]
"""The contexts of a place, the innermost last."""


def root(data: dict[str, Any] | list[Any], task_id: str) -> Stack:
    """The outermost context: `task_id` overrides a member of that name, an array gives nothing but it (protocol
    job-item.md, section 4.2)."""
    members = data if isinstance(data, dict) else {}
    return ({**members, "task_id": task_id},)


def look_up(stack: Stack, path: tuple[str, ...]) -> Any:
    """The value at `path`, None where there is none. Only the first name is sought in outer contexts too."""
    if not path:
        return stack[-1]
    for context in reversed(stack):
        if isinstance(context, dict) and path[0] in context:
            value = context[path[0]]
            break
    else:
        return None
    for name in path[1:]:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def items_of(value: Any) -> list[Any]:
    """The contexts that a section of `value` is rendered with.

    False are null, false, 0, the empty text and the empty list (`!!data` in the words of the specification).
    """
    if isinstance(value, list):
        return value
    return [value] if value or isinstance(value, dict) else []


def text_of(value: Any) -> str:
    """A text as it is, null as nothing, everything else as compact JSON (protocol job-item.md, section 9.1, L18)."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
