"""`save`: standard input, shown and sent as notifications."""

from __future__ import annotations

from typing import Annotated

import typer

from supervisor.cli.given import ConfigOption


def save_input(
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="CODE|FILE",
            help="Exit code of the producer, or the file that will hold it: sent too, and passed on.",
        ),
    ] = None,
    limit: Annotated[
        str, typer.Option("--limit", metavar="SIZE", help="How much is sent at most; the end always is.")
    ] = "64 MiB",
    _config: ConfigOption = None,
) -> None:
    """Show what comes through a pipe as it comes, then send it as notifications of this task.

    Works in a job, and wherever JOB_ITEM_TASK_ID and JOB_ITEM_MSG_NOTIF_HOST are exported: `df -h | job_item save`. A
    text of more than 100 KiB becomes several notifications. On Ctrl-C or SIGTERM what has come so far is still sent.
    """
    from job_item.quantity import Unfit, size_bytes
    from supervisor.saving import save

    try:
        limit_bytes = size_bytes(limit)
    except Unfit as error:
        raise typer.BadParameter(str(error), param_hint="--limit") from error
    raise typer.Exit(save(status, limit_bytes))
