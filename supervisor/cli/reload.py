"""`reload`: have the node read its configuration again, or look beforehand what that would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from job_item.exits import Exit
from supervisor.cli.failure import tell_rejected
from supervisor.cli.given import ConfigOption, JsonOption, open_client, print_json, wants_json

if TYPE_CHECKING:
    from supervisor.client import Record


def reload_settings(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and ask before it is applied.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Look at this file in place of the configuration; plan only."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply a plan without asking.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the configuration again and bring into force what has changed.

    With --plan nothing is applied unless it is confirmed on a terminal or by --yes. Settings with faults are not
    applied, the old ones stay in force; then the exit code is 78.
    """
    if file is not None and yes:
        raise typer.BadParameter("goes not with --file: the node runs on its own configuration.", param_hint="--yes")
    client = open_client(config)
    is_json = wants_json(as_json)
    seen: Record | None = None
    if plan or file is not None:
        seen = client.reload(plan=True, candidate=str(file.absolute()) if file is not None else None)
        if seen["faults"] or not (is_json and yes):
            _show(seen, is_json)
        if not (seen["changes"] and file is None and (yes or _is_confirmed(is_json))):
            return
    report = client.reload(plan=False)
    if is_json or seen is None or seen["digest"] != report["digest"]:
        _show(report, is_json)
    else:
        typer.echo("Applied.")


def _is_confirmed(is_json: bool) -> bool:
    """Ask whoever sits at the terminal; where nobody does, the answer is no."""
    return not is_json and sys.stdin.isatty() and typer.confirm("Apply this?")


def _show(report: Record, is_json: bool) -> None:
    """Show what a reload does or did. Raises `typer.Exit` (78) where the settings have faults."""
    if is_json:
        print_json(report)
    elif report["faults"]:
        tell_rejected(report["faults"])
    elif report["changes"]:
        from supervisor.show import print_view
        from supervisor.views import plan_table

        print_view(plan_table(report["changes"]))
        if report["applied"]:
            typer.echo("Applied.")
    else:
        typer.echo("Nothing changes.")
    if report["faults"]:
        raise typer.Exit(Exit.CONFIGURATION)
