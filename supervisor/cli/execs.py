"""`execs`: the background commands: list them, order them about, read their output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from job_item.errors import NodeError
from job_item.exits import Exit
from supervisor.cli.complete import complete_exec
from supervisor.cli.failure import tell
from supervisor.cli.given import ConfigOption, JsonOption, open_client, print_json, wants_json
from supervisor.cli.outcome import EXIT_DETACHED
from supervisor.cli.play import say, write
from supervisor.cli.watch import WATCH_PATIENCE_S, WatchOption, watch_it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from supervisor.client import Client, Record

app = typer.Typer()

KeysArgument = Annotated[
    list[str], typer.Argument(metavar="KEY...", help="Keys of the execs.", autocompletion=complete_exec)
]


@app.callback(invoke_without_command=True)
def list_execs(
    ctx: typer.Context, watch: WatchOption = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the background commands, or order them about."""
    if ctx.invoked_subcommand is not None:
        return
    client = open_client(config, **({"patience_s": WATCH_PATIENCE_S} if watch else {}))
    if wants_json(as_json):
        watch_it(client.execs) if watch else print_json(client.execs())
        return
    from supervisor.show import print_view

    watch_it(client.execs, _view) if watch else print_view(_view(client.execs()))


@app.command("restart")
def restart_execs(keys: KeysArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End execs and start them again, with the count of their tries set back."""
    _order("restart", keys, config, as_json)


@app.command("stop")
def stop_execs(keys: KeysArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End execs and leave them stopped."""
    _order("stop", keys, config, as_json)


@app.command("start")
def start_execs(keys: KeysArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Start execs that are down."""
    _order("start", keys, config, as_json)


@app.command("logs")
def show_log(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Key of the exec.", autocompletion=complete_exec)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, metavar="N", help="Only the last N lines.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print the output of an exec: its raw bytes, older files of its log that are kept included.

    With --follow it goes on over rotations of the log and restarts of the exec and of the node.
    """
    client = open_client(config)
    if follow:
        try:
            _follow(client, key, tail)
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_DETACHED) from None
    else:
        for chunk in client.exec_log(key, lines=tail):
            write(chunk)


def _order(verb: str, keys: list[str], config: Path | None, as_json: bool) -> None:
    client = open_client(config)
    states, exits = [], [Exit.DONE]
    for key in keys:
        try:
            states.append(client.order_exec(key, verb))
        except NodeError as error:
            exits.append(tell(error))
    if wants_json(as_json):
        print_json(states)
    else:
        from supervisor.wording import harmless

        for state in states:
            typer.echo(harmless(f"{state['key']}: {_spell(state)}"))
    raise typer.Exit(max(exits))


def _follow(client: Client, key: str, tail: int | None) -> None:
    from supervisor.follow import follow_exec

    told = "running"
    for news in follow_exec(client, key, lines=tail):
        match news.name:
            case "output":
                write(news.output)
            case "state" if (state := _spell(news.says)) != told:
                told = state
                say(f"{key}: {state}")
            case "gap":
                say("some output was removed before it could be shown")
            case "end":
                say(str(news.says["reason"]))


def _spell(state: Record) -> str:
    """The state of an exec, with its reason."""
    return f"{state['state']} ({state['reason']})" if state["reason"] else str(state["state"])


def _view(execs: Sequence[Record]) -> RenderableType:
    from supervisor.views import exec_table

    return exec_table(execs) if execs else "No background commands."
