"""Versions of job_item: numbers with dots between them, ordered as numbers."""

from __future__ import annotations

import re

_FORM = re.compile(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){1,3}")


def is_version(text: str) -> bool:
    """Whether a text is a version that can be released: two to four numbers, as `1.4` or `1.4.2`."""
    return _FORM.fullmatch(text) is not None


def rank(version: str) -> tuple[int, ...]:
    """What orders a version among others; `1.4` and `1.4.0` are the same one. Raises ValueError for any other text."""
    if not is_version(version):
        raise ValueError(f"{version!r} is no version")
    numbers = [int(number) for number in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))
