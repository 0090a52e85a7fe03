"""`update --apply`: bring another version to this node."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from job_item.exits import Exit
from supervisor.cli.given import load_settings, print_json

if TYPE_CHECKING:
    from job_item.updatespec import Update
    from supervisor.updating import Prospect


def apply_release(url: str, config: Path | None, *, is_dry: bool, is_json: bool) -> None:
    """Update to the release at `url`, or with `is_dry` show what would be done. Raises NodeError, or typer.Exit (1)
    for a dry run of what would not be taken.
    """
    from job_item.identity import resolve_identity
    from supervisor.updating import Target, change_over, look_at, stage

    loaded = load_settings(config)
    identity = resolve_identity(loaded, os.environ)
    target = Target(loaded.settings.update, loaded.config_path, loaded.state_dir, identity)
    prospect = look_at(target, url)
    if is_dry:
        _show(prospect, loaded.settings.update, is_json)
        raise typer.Exit(Exit.FAILURE if prospect.objections else Exit.DONE)
    stage(target, prospect, os.environ, lambda step: typer.echo(f"job_item: {step}", err=True))
    is_told = change_over(loaded.state_dir)
    if is_json:
        print_json({"version": prospect.release.version, "is_running": is_told})
    else:
        when = _when(loaded.settings.update) if is_told else "The next start of the node runs it."
        typer.echo(f"Version {prospect.release.version} is ready. {when}")


def _when(update: Update) -> str:
    """What a node that runs does for its jobs."""
    if update.jobs == "drain":
        return "The node starts no more jobs, and changes over when those that run have ended."
    from supervisor.wording import duration

    wait = duration(update.wait)
    return f"The node changes over in a moment in which no job runs, and drains if there is none within {wait}."


def _show(prospect: Prospect, update: Update, is_json: bool) -> None:
    release, ground = prospect.release, prospect.ground
    if is_json:
        print_json(
            {
                "release": asdict(release),
                "node": asdict(ground) | {"refused": sorted(ground.refused)},
                "objections": [asdict(objection) for objection in prospect.objections],
                "jobs": update.jobs,
                "wait_s": update.wait if update.jobs == "leave" else None,
            }
        )
        return
    from supervisor.show import print_view, table

    rows = [
        ("version", release.version, f"newer than {ground.version}"),
        ("sequence", str(release.sequence), f"higher than {ground.sequence}"),
        ("channel", release.channel, ground.channel),
        ("platform", release.platform, ground.platform),
        ("Python", release.python, f"up to {'.'.join(map(str, ground.python))}"),
        ("size", str(release.size), f"up to {ground.size_max_bytes}"),
        ("canary", f"{ground.share:g} %", f"below {ground.canary:g} %"),
    ]
    print_view(table(("", "release", "this node takes"), rows))
    for objection in prospect.objections:
        typer.echo(f"{objection.reason} [{objection.code}]")
    if not prospect.objections:
        typer.echo("It would be taken: fetched, examined, and put on trial.")
        typer.echo(_when(update))
