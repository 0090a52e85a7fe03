"""`@job_item.handler("TYPE")`: marks what serves jobs of a type. Loading (`registry`) finds the marks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from job_item.errors import NodeError

Target = TypeVar("Target", bound=Callable[..., Any])
MARKS = "__job_item_handlers__"
"""The name in an author's module under which its marks stand: nothing of them is kept here."""
_TYPE = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")
_TYPE_LENGTH = 128


class Mark(NamedTuple):
    """A type of jobs, and the function or class that is to serve it."""

    type: str
    target: Callable[..., Any]


def handler(type: str) -> Callable[[Target], Target]:  # noqa: A002 - the word of the wire and of the documentation
    """Serve jobs of this type (the event of a broker, the job type of ReefGuide) with a function or a class.

        @job_item.handler("AREA")
        def area(shape: Shape, context: HandlerContext) -> Area: ...

    A function takes the input, and where it wants it the context, and returns the output; a class does so with its
    method `run`, and is made once in each process, without arguments. The hints say what input and output are: anything
    that pydantic can check. Parameter `type`: as the name of an event. Raises `NodeError` (ERR-HND-007).
    """
    if not isinstance(type, str) or len(type) > _TYPE_LENGTH or not _TYPE.fullmatch(type):
        raise NodeError("ERR-HND-007", f"{type!r} cannot be the type of a job.")

    def mark(target: Target) -> Target:
        sys.modules[target.__module__].__dict__.setdefault(MARKS, []).append(Mark(type, target))
        return target

    return mark


def all_marks() -> list[Mark]:
    """The marks of all modules that are loaded, module by module."""
    found: list[Mark] = []
    for module in tuple(sys.modules.values()):
        marks = getattr(module, "__dict__", {}).get(MARKS)
        if isinstance(marks, list):
            found += [mark for mark in marks if isinstance(mark, Mark) and mark not in found]
    return found
