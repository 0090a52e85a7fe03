"""`--help`, answered before typer runs a command: coercing parameters makes it load pydantic, which takes longer."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from typer.main import get_command

HELP_OPTIONS = ("--help", "-h")


def find_help(app: typer.Typer, words: Sequence[str], name: str) -> str | None:
    """Give the help that the words of a command line ask for; None where they ask for none or cannot be read."""
    if not set(HELP_OPTIONS) & set(words):
        return None
    command = get_command(app)
    context = typer.Context(command, info_name=name, resilient_parsing=True, **command.context_settings)
    rest = list(words)
    while True:
        said, rest, _ = command.make_parser(context).parse_args(rest)
        if said.get("help"):
            return command.get_help(context)
        below = getattr(command, "commands", {}).get(rest[0]) if rest else None
        if below is None:
            return None
        command = below
        context = typer.Context(command, parent=context, info_name=rest.pop(0), resilient_parsing=True)
