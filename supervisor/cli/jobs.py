"""`jobs` and `cancel`: the jobs of this node, and ending some."""

from __future__ import annotations

from typing import Annotated

import typer

from job_item.errors import NodeError
from job_item.exits import Exit
from supervisor.cli.complete import complete_event, complete_status, complete_task
from supervisor.cli.failure import tell
from supervisor.cli.given import ConfigOption, JsonOption, open_client, print_json, wants_json


def list_jobs(
    status: Annotated[
        str | None, typer.Option("--status", "-s", help="Only jobs with this status.", autocompletion=complete_status)
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", "-e", help="Only jobs of this event.", autocompletion=complete_event)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest jobs."""
    jobs = open_client(config).jobs(limit=limit, status=status, event=event)
    if wants_json(as_json):
        print_json(jobs)
        return
    from supervisor.show import print_view
    from supervisor.views import job_table

    print_view(job_table(jobs) if jobs else "No jobs.")


def cancel_jobs(
    task_ids: Annotated[
        list[str], typer.Argument(metavar="TASK_ID...", help="Ids of the jobs.", autocompletion=complete_task)
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End jobs, with all that they started."""
    client = open_client(config)
    jobs, exits = [], [Exit.DONE]
    for task_id in task_ids:
        try:
            jobs.append(client.cancel(task_id))
        except NodeError as error:
            exits.append(tell(error))
    if wants_json(as_json):
        print_json(jobs)
    else:
        for job in jobs:
            doing = job["status"] if job["finished_at"] else "is being ended"
            typer.echo(f"{job['task_id']} {job['event']}: {doing}")
    raise typer.Exit(max(exits))
