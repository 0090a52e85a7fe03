"""`submit`: have a job run, and watch it if wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supervisor.cli.complete import complete_event
from supervisor.cli.given import ConfigOption, open_client, print_json
from supervisor.cli.outcome import outcome_exit
from supervisor.cli.play import command, detachable, drain, play, say, say_end

if TYPE_CHECKING:
    from supervisor.client import Client, Record


def submit(
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="Event of a configured job.", autocompletion=complete_event)
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Values: name=Ada is text, count:=3 is JSON.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="FILE", help="File with the data as JSON, - for standard input."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show the output as it comes, until the end.")] = False,
    task_id: Annotated[
        str | None, typer.Option("--task-id", metavar="ID", help="Id of the job; a known one is not run twice.")
    ] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job's record as JSON; not with --follow.")] = False,
) -> None:
    """Run a job.

    Prints its task id, or with --follow its output. With --wait or --follow the exit code tells the outcome: 0 finish,
    124 timeout, 143 terminate; for an error the exit code of the command, 128+n for signal n, else 1. Ctrl-C stops the
    watching, not the job, and exits with 130.
    """
    if follow and as_json:
        raise typer.BadParameter("shows raw output, which cannot be JSON; use --wait --json.", param_hint="--follow")
    from job_item.job import new_task_id
    from supervisor.cli.form import read_form

    form = read_form(words or [], data)
    client = open_client(config)
    task_id = client.create(event, form, task_id or new_task_id())["task_id"]
    if not (follow or as_json):
        typer.echo(task_id)
    if wait or follow:
        job = _watch(client, task_id, config, follow)
        say_end(job)
        if as_json:
            print_json(job)
        raise typer.Exit(outcome_exit(job))
    if as_json:
        print_json(client.job(task_id))
    else:
        say(f"watch it with `{command('logs', task_id, '-f', config=config)}`")


def _watch(client: Client, task_id: str, config: Path | None, follow: bool) -> Record:
    """Wait for the end of a job, showing its output with `follow`; gives its record."""
    from supervisor.follow import BEHIND_ALL, FROM_THE_BEGINNING, follow_job

    with detachable(task_id, config):
        if follow:
            say(f"task {task_id}")
            play(follow_job(client, task_id, position=FROM_THE_BEGINNING), apart=True)
        else:
            drain(follow_job(client, task_id, position=BEHIND_ALL))
        return client.job(task_id)
