"""The trace of an exception as the author of a handler needs it: his own code, without the node's frames around it."""

from __future__ import annotations

import asyncio
import functools
import sys
import traceback
from itertools import takewhile
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

import job_item
from job_item.errors import NodeError

_AROUND = (f"{Path(job_item.__file__).parent}/", f"{Path(asyncio.__file__).parent}/", functools.__file__)
"""What stands between the node and a handler: its call, the loop of one that is `async`, a cached property."""


def show_raised(error: BaseException) -> None:
    """Write the trace of what a handler raised on standard error, from the handler on.

    A refusal by the node itself (`NodeError`) ends at the author's line that asked.
    """
    shown = traceback.TracebackException.from_exception(error)
    frames = list(shown.stack)
    while frames and _is_around(frames[0]):
        del frames[0]
    if isinstance(error, NodeError):
        frames = list(takewhile(lambda frame: not _is_around(frame), frames))
    if frames:
        shown.stack = traceback.StackSummary.from_list(frames)
    print("".join(shown.format()), end="", file=sys.stderr)


def show_unfit(error: Exception) -> None:
    """Write the trace of an unfit output where code of the author raised; else the reason says it all."""
    if error.__cause__ is not None or not isinstance(error, ValidationError | PydanticSerializationError):
        show_raised(error)


def _is_around(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_AROUND)
