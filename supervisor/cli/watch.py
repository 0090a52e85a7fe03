"""Looking again and again: drawn in place on a terminal, one document a line for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from job_item.errors import Unavailable

if TYPE_CHECKING:
    from rich.console import RenderableType

Seen = TypeVar("Seen")

WATCH_PATIENCE_S = 0.5
"""How long a client that looks again anyway tries to reach a node."""

_INTERVAL_S = 1.0

WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")]


def watch_it(look: Callable[[], Seen], view: Callable[[Seen], RenderableType] | None = None) -> None:
    """Look every second until Ctrl-C and show it by `view`, as JSON where there is none; a node may come and go."""
    with suppress(KeyboardInterrupt):
        if view is None:
            _print_lines(look)
        else:
            _draw(look, view)


def _print_lines(look: Callable[[], object]) -> None:
    while True:
        try:
            document = look()
        except Unavailable as error:
            document = {"error": error.message, "code": error.code}
        typer.echo(json.dumps(document, ensure_ascii=False))
        time.sleep(_INTERVAL_S)


def _draw(look: Callable[[], Seen], view: Callable[[Seen], RenderableType]) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            try:
                live.update(view(look()), refresh=True)
            except Unavailable as error:
                live.update(Text(f"{error.message} [{error.code}]"), refresh=True)
            time.sleep(_INTERVAL_S)
