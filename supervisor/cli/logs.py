"""`logs`: the output of a job, as it was kept or as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from supervisor.cli.complete import complete_task
from supervisor.cli.given import ConfigOption, open_client
from supervisor.cli.play import detachable, play, say_end, write

if TYPE_CHECKING:
    from supervisor.client import Client
    from supervisor.follow import News

_FIRST_TAIL_BYTES = 1 << 16


class Stream(StrEnum):
    """A stream that a job writes."""

    STDOUT = "stdout"
    STDERR = "stderr"


def show_log(
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="Id of the job.", autocompletion=complete_task)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    stream: Annotated[Stream | None, typer.Option("--stream", help="Only this one; else both as they came.")] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="Of this attempt, not the last one.")] = None,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, metavar="N", help="Only the last N lines.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print the output of a job.

    These are its raw bytes, both streams in the order in which they came.
    """
    client = open_client(config)
    if not follow:
        _print_kept(client, task_id, stream, attempt, tail)
        return
    from supervisor.follow import follow_job

    with detachable(task_id, config):
        news = follow_job(client, task_id, attempt=attempt)
        if tail is not None:
            write(last_lines(_read_backlog(news, client.log_size(task_id, attempt), stream), tail))
        play(news, stream=stream)
        say_end(client.job(task_id))


def _print_kept(client: Client, task_id: str, stream: Stream | None, attempt: int | None, tail: int | None) -> None:
    if tail is None:
        for chunk in client.log(task_id, stream=stream, attempt=attempt):
            write(chunk)
        return
    size_bytes = _FIRST_TAIL_BYTES
    while True:
        kept = b"".join(client.log(task_id, stream=stream, attempt=attempt, tail=size_bytes))
        if len(kept) < size_bytes or kept.count(b"\n") > tail:
            write(last_lines(kept, tail))
            return
        size_bytes *= 4


def _read_backlog(news: Iterator[News], size_bytes: int, stream: Stream | None) -> bytes:
    """Take the output that is there already: the first `size_bytes`, of which `stream` is wanted."""
    kept = []
    reached = 0
    # The node keeps a character back until it is whole, so up to three bytes of the backlog may come later.
    while reached < size_bytes - 3 and (item := next(news, None)) is not None:
        if item.name == "output":
            reached = item.says["offset"] + len(item.output)
            kept += [item.output] if stream in (None, item.says["stream"]) else []
    return b"".join(kept)


def last_lines(output: bytes, count: int) -> bytes:
    """Give the last `count` lines, with what comes behind the last line end as one of them."""
    at = len(output) - output.endswith(b"\n")
    for _ in range(count):
        at = output.rfind(b"\n", 0, at)
        if at < 0:
            return output
    return output[at + 1 :]
