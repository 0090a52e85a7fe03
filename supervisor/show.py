"""How answers look: JSON for programs, tables and colours for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.wording import harmless

_STYLES = (
    ("green", ("finish", "running", "ready", "healthy", "ok")),
    ("cyan", ("queued", "starting", "waiting")),
    ("yellow", ("warn", "timeout", "terminate", "backoff", "stopped")),
    ("red", ("error", "fail", "failed", "unhealthy")),
)


def print_view(view: RenderableType) -> None:
    """Print a view on the terminal."""
    Console().print(view)


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Lay rows out under headings; long text is folded, never cut, and what stands first stays in one piece."""
    grid = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for column in grid.columns:
        column.overflow = "fold"
    grid.columns[0].no_wrap = True
    for row in rows:
        grid.add_row(*map(cell, row))
    return grid


def pairs(values: Mapping[str, str | Text]) -> Table:
    """Lay names and values out in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(name, cell(value))
    return grid


def cell(content: str | Text) -> Text:
    """Text as it is: what looks like markup or a control sequence is neither."""
    return Text(harmless(content)) if isinstance(content, str) else content


def word(text: str, more: object = None) -> Text:
    """A status or state word in its colour, with what belongs to it."""
    shown = text if more is None else f"{text} {more}"
    return Text(harmless(shown), style=next((style for style, words in _STYLES if text in words), ""))
