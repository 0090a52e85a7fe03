"""How answers look: JSON for programs, tables and colours for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_STYLES = (
    ("green", ("finish", "running", "ready", "ok")),
    ("cyan", ("queued", "starting", "waiting")),
    ("yellow", ("timeout", "terminate", "backoff", "stopped")),
    ("red", ("error", "failed")),
)


def print_view(view: RenderableType) -> None:
    """Print a view on the terminal."""
    Console().print(view)


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Lay rows out under headings; long text is folded, never cut."""
    grid = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for column in grid.columns:
        column.overflow = "fold"
    for row in rows:
        grid.add_row(*row)
    return grid


def pairs(values: Mapping[str, str | Text]) -> Table:
    """Lay names and values out in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(name, value)
    return grid


def word(text: str) -> Text:
    """A status or state word in its colour."""
    return Text(text, style=next((style for style, words in _STYLES if text in words), ""))
