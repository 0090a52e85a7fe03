"""`status`: the node at a glance, or all about one job; once or again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from job_item.errors import SettingsError, Unavailable
from supervisor.cli.complete import complete_task
from supervisor.cli.given import ConfigOption, JsonOption, load_settings, open_client, print_json, wants_json

if TYPE_CHECKING:
    from supervisor.client import Client, Record

_WATCH_INTERVAL_S = 1.0
_WATCH_PATIENCE_S = 0.5
_RECENT_JOBS = 10


def show_status(
    task_id: Annotated[
        str | None,
        typer.Argument(metavar="TASK_ID", help="A job; the node where left out.", autocompletion=complete_task),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the node at a glance, or all about one job."""
    client = open_client(config, **({"patience_s": _WATCH_PATIENCE_S} if watch else {}))
    look = partial(client.job, task_id) if task_id else partial(look_at_node, client, _slots(config))
    if watch:
        with suppress(KeyboardInterrupt):
            (_watch_json if wants_json(as_json) else _watch_view)(look, task_id is None)
    elif wants_json(as_json):
        print_json(look())
    else:
        from supervisor.show import print_view
        from supervisor.views import job_view, node_view

        print_view(job_view(look()) if task_id else node_view(look()))


def look_at_node(client: Client, slots: int | None) -> Record:
    """Gather what the node says of itself: the members of `/healthz` and more. Raises as `Client.ask`."""
    return {
        **client.health(),
        **client.readiness(),
        "url": client.node().url,
        "slots": slots,
        "commands": client.execs(),
        "jobs": client.jobs(limit=_RECENT_JOBS),
    }


def _slots(config: Path | None) -> int | None:
    """How many jobs may run at once; None where the settings are broken just now."""
    try:
        return load_settings(config).settings.limits.concurrency
    except SettingsError:
        return None


def _watch_json(look: Callable[[], Record], _of_node: bool) -> None:
    """Print one document a line."""
    while True:
        try:
            document = look()
        except Unavailable as error:
            document = {"error": error.message, "code": error.code}
        typer.echo(json.dumps(document, ensure_ascii=False))
        time.sleep(_WATCH_INTERVAL_S)


def _watch_view(look: Callable[[], Record], of_node: bool) -> None:
    """Draw over and over in place."""
    from rich.live import Live
    from rich.text import Text

    from supervisor.views import job_view, node_view

    view = node_view if of_node else job_view
    with Live(auto_refresh=False) as live:
        while True:
            try:
                live.update(view(look()), refresh=True)
            except Unavailable as error:
                live.update(Text(f"{error.message} [{error.code}]"), refresh=True)
            time.sleep(_WATCH_INTERVAL_S)
