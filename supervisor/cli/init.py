"""`init`: make a configuration file, by questions on a terminal or by options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from supervisor.cli.given import ConfigOption

if TYPE_CHECKING:
    from supervisor.newconfig import Wish

Answer = TypeVar("Answer")


def make_config(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address of the API.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API.")] = None,
    project_id: Annotated[str | None, typer.Option(help="Id of the project, if any.")] = None,
    secret_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="File that holds the project's secret; it is named, not copied.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="File that holds the API's token; it is named, not copied.")
    ] = None,
    event: Annotated[str | None, typer.Option(help="Event of the first job.")] = None,
    cmd: Annotated[str | None, typer.Option(help="Command of the first job.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the defaults.")] = False,
) -> None:
    """Write a new configuration file.

    On a terminal what no option says is asked for; secrets are not shown. A file with a secret in it is for its owner
    only. The node can run with what is written, else nothing is.
    """
    from supervisor.newconfig import Wish, complete, refuse_existing, write_config

    path = Path(config or os.environ.get("CONFIG_PATH") or "config.yaml").absolute()
    refuse_existing(path, force=force)
    given = {
        "host": host,
        "port": port,
        "project_id": project_id,
        "secret_file": _absolute(secret_file),
        "token_file": _absolute(token_file),
        "event": event,
        "command": cmd,
    }
    said = {name: value for name, value in given.items() if value is not None}
    wish = replace(Wish(), **said)  # type: ignore[arg-type]  # each option has the type of its member
    if sys.stdin.isatty() and not yes:
        wish = _ask(wish, frozenset(said))
    wish = complete(wish)
    write_config(path, wish, os.environ, force=force)
    typer.echo(f"Written: {path}" + (" (for your user only: it holds a secret)" if wish.has_secret else ""))
    typer.echo("Next: `job_item check`, then `job_item` starts the node.")


def _ask(wish: Wish, said: frozenset[str]) -> Wish:
    """Ask for what was not said; an empty answer takes what is shown in brackets."""

    def answer(name: str, question: str, ask: Callable[[str, Answer], Answer], default: Answer) -> Answer:
        return default if name in said else ask(question, default)

    wish = replace(wish, host=answer("host", "Address of the API", _text, wish.host))
    wish = replace(wish, port=answer("port", "Port of the API", _number, wish.port))
    if wish.is_open and not wish.token_file:
        wish = replace(wish, token=_secret("Token of the API (empty: one is made)"))
    wish = replace(wish, project_id=answer("project_id", "Id of the project (empty: none)", _text, wish.project_id))
    if wish.project_id and not wish.secret_file:
        wish = replace(wish, secret=_secret("Secret of the project (empty: none)"))
    wish = replace(wish, event=answer("event", "Event of the first job", _text, wish.event))
    return replace(wish, command=answer("command", "Its command", _text, wish.command))


def _text(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default, show_default=bool(default)))


def _number(question: str, default: int) -> int:
    return int(typer.prompt(question, default=default, type=int))


def _secret(question: str) -> str:
    """Ask without showing what is typed."""
    return str(typer.prompt(question, default="", hide_input=True, show_default=False))


def _absolute(file: Path | None) -> str | None:
    return None if file is None else str(file.expanduser().absolute())
