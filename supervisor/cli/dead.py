"""`dead`: jobs that were tried as often as they may be: list them, look at one, try some again, drop some."""

from __future__ import annotations

from typing import Annotated

import typer

from job_item.errors import NodeError
from job_item.exits import Exit
from supervisor.cli.failure import tell
from supervisor.cli.given import ConfigOption, JsonOption, open_client, print_json, wants_json

app = typer.Typer(help="Jobs that were tried as often as they may be: list them, try them again, drop them.")

IdsArgument = Annotated[list[str], typer.Argument(metavar="TASK_ID...", help="Ids of the jobs.")]


@app.command("list")
def list_dead(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the dead letters: of this node, and with `delivery: durable` those of its project."""
    dead = open_client(config).dead(limit)
    if wants_json(as_json):
        print_json(dead)
        return
    from supervisor.show import print_view
    from supervisor.views import dead_table

    print_view(dead_table(dead) if dead else "No dead letters.")


@app.command("show")
def show_dead(
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="Id of the job.")], config: ConfigOption = None
) -> None:
    """Show one dead letter with the data of its job, as JSON."""
    print_json(open_client(config).dead_letter(task_id))


@app.command("retry")
def retry_dead(task_ids: IdsArgument, config: ConfigOption = None) -> None:
    """Put jobs back into their queue, with all their attempts before them."""
    _order("retry", "is tried again", task_ids, config)


@app.command("drop")
def drop_dead(task_ids: IdsArgument, config: ConfigOption = None) -> None:
    """Let dead letters go for good."""
    _order("drop", "is dropped", task_ids, config)


def _order(verb: str, done: str, task_ids: list[str], config: ConfigOption) -> None:
    client = open_client(config)
    exits = [Exit.DONE]
    for task_id in task_ids:
        try:
            client.order_dead(task_id, verb)
            typer.echo(f"{task_id} {done}")
        except NodeError as error:
            exits.append(tell(error))
    raise typer.Exit(max(exits))
