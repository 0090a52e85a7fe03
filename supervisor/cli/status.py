"""`status`: the node at a glance, or all about one job; once or again and again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from supervisor.cli.complete import complete_task
from supervisor.cli.given import ConfigOption, JsonOption, open_client, print_json, wants_json
from supervisor.cli.watch import WATCH_PATIENCE_S, WatchOption, watch_it

if TYPE_CHECKING:
    from supervisor.client import Client, Record

_RECENT_JOBS = 10


def show_status(
    task_id: Annotated[
        str | None,
        typer.Argument(metavar="TASK_ID", help="A job; the node where left out.", autocompletion=complete_task),
    ] = None,
    watch: WatchOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the node at a glance, or all about one job."""
    client = open_client(config, **({"patience_s": WATCH_PATIENCE_S} if watch else {}))
    look = partial(client.job, task_id) if task_id else partial(look_at_node, client)
    if wants_json(as_json):
        watch_it(look) if watch else print_json(look())
        return
    from supervisor.nodeview import node_view
    from supervisor.show import print_view
    from supervisor.views import job_view

    view = job_view if task_id else node_view
    watch_it(look, view) if watch else print_view(view(look()))


def look_at_node(client: Client) -> Record:
    """Gather what the node says of itself: the members of `/healthz` and more. Raises as `Client.ask`."""
    return {
        **client.health(),
        **client.readiness(),
        "url": client.node().url,
        "commands": client.execs(),
        "jobs": client.jobs(limit=_RECENT_JOBS),
    }
