"""A bar on the terminal for a file on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error; gives who is told how many bytes are through, and of how many.

    `name` must hold nothing that a terminal would obey.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.text import Text

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(
        *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task(Text(name).markup, total=None)

        def watch(done_bytes: int, size_bytes: int) -> None:
            progress.update(task, completed=done_bytes, total=size_bytes)

        yield watch
