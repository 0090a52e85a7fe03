"""Playing a job on this terminal: its output as raw bytes, what is said about it on standard error in brackets."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from supervisor.cli.failure import tell_job_error
from supervisor.cli.outcome import EXIT_DETACHED, last_attempt
from supervisor.wording import duration, harmless

if TYPE_CHECKING:
    from supervisor.client import Record
    from supervisor.follow import News


def play(news: Iterable[News], *, apart: bool = False, stream: str | None = None) -> None:
    """Write the output as it comes, until the end.

    `apart`: what the job wrote to its standard error goes to ours, as if it ran here; `stream`: only that one.
    """
    attempt = 1
    for item in news:
        match item.name:
            case "output":
                if stream in (None, item.says["stream"]):
                    write(item.output, to_stderr=apart and item.says["stream"] != "stdout")
            case "status" if item.says["attempt"] > attempt:
                attempt = item.says["attempt"]
                say(f"attempt {attempt} begins")
            case "note":
                say(f"note: {item.says['msg'].rstrip()}")
            case "gap" if stream is not None:  # in the whole output a line stands for it
                say(f"{item.says['bytes']} bytes beyond the output_limit of the job were not kept")


def drain(news: Iterable[News]) -> None:
    """Wait for the end and show nothing."""
    for _ in news:
        pass


def write(output: bytes, *, to_stderr: bool = False) -> None:
    """Write raw bytes at once."""
    sink = (sys.stderr if to_stderr else sys.stdout).buffer
    sink.write(output)
    sink.flush()


def say(sentence: str) -> None:
    """Say something about a job on standard error, apart from its output."""
    typer.echo(typer.style(f"[{harmless(sentence)}]", dim=True), err=True)


def say_end(job: Record) -> None:
    """Say what became of a job: one line, and for a failure what to do."""
    exit_code, signal = job["exit_code"], last_attempt(job).get("signal")
    how = f", signal {signal}" if signal else f", exit code {exit_code}" if exit_code is not None else ""
    took = f" after {duration(job['duration_s'])}" if job["duration_s"] is not None else ""
    say(f"{job['event']} {job['task_id']}: {job['status']}{took}{how}")
    if job["error"]:
        tell_job_error(job["error"], job["task_id"])


@contextmanager
def detachable(task_id: str, config: Path | None) -> Iterator[None]:
    """Let Ctrl-C end the watching, not the job, and say so."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(err=True)
        again, end = command("logs", task_id, "-f", config=config), command("cancel", task_id, config=config)
        say(f"the job goes on; `{again}` watches it again, `{end}` ends it")
        raise typer.Exit(EXIT_DETACHED) from None


def command(*words: str, config: Path | None) -> str:
    """Spell a command of ours as it has to be typed to reach the same node."""
    return shlex.join(["job_item", *words, *(("--config", str(config)) if config else ())])
