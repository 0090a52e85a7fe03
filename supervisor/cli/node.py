"""Running the node or one of its rooms, and checking beforehand that it could run."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from job_item.errors import Fault, NodeError, SettingsError
from job_item.exits import Exit
from supervisor.cli import failure
from supervisor.cli.given import ConfigOption, JsonOption, load_settings

if TYPE_CHECKING:
    from job_item.load import Loaded

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Validate everything, start nothing; exit 0 or 78.")]


def run_node(config: ConfigOption = None, dry_run: DryRunOption = False) -> None:
    """Run the node in the foreground."""
    if dry_run:
        check_settings(config)
    loaded = _load_to_run(config)
    from supervisor.node import run

    raise typer.Exit(run(loaded, os.environ))


def run_child_process(config: ConfigOption = None) -> None:
    """Run the job child alone, in the foreground."""
    loaded = _load_to_run(config)
    from supervisor.alone import run_worker

    raise typer.Exit(run_worker(loaded, os.environ))


def run_child_execs_process(config: ConfigOption = None) -> None:
    """Run the execs child alone, in the foreground."""
    loaded = _load_to_run(config)
    from supervisor.alone import run_execs

    raise typer.Exit(run_execs(loaded, os.environ))


def check_settings(
    config: ConfigOption = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also connect to the servers that the settings name.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find all mistakes in the configuration.

    Settings, templates, shells and directories are looked at; nothing is started. Exits with 0 or 78.
    """
    faults, summary = _find_faults(config, connect)
    errors = [fault for fault in faults if not fault.warning]
    if as_json:
        entries = [{**asdict(fault), "remedy": failure.remedy_of(fault.remedy, fault.code)} for fault in faults]
        typer.echo(json.dumps({"ok": not errors, "faults": entries}, indent=2))
    else:
        failure.tell_faults(faults)
        typer.echo(
            f"{_count(len(errors), 'fault')}: the node would not start." if errors else f"{summary} The node can start."
        )
    raise typer.Exit(Exit.CONFIGURATION if errors else Exit.DONE)


def _find_faults(config: Path | None, connect: bool) -> tuple[tuple[Fault, ...], str]:
    from job_item.check import check
    from job_item.players import audition

    try:
        loaded = audition(load_settings(config), os.environ)
    except SettingsError as error:
        return error.faults, ""
    unheard: tuple[Fault, ...] = ()
    said = ""
    if connect and loaded.settings.end_point:
        loaded, unheard, said = _ask(loaded)
    faults = (*loaded.warnings, *check(loaded), *unheard)
    if connect:
        from supervisor.reach import reach

        faults += tuple(fault for fault in reach(loaded.settings) if fault.path != "end_point")
        if loaded.settings.reefguide is not None:
            from supervisor.reefcheck import look

            faults += look(loaded.settings.reefguide, loaded.state_dir)
    settings = loaded.settings
    counts = f"{_count(len(settings.jobs), 'job')}, {_count(len(settings.execs), 'exec')}"
    return faults, f"{loaded.config_path}: {counts}.{said}"


def _ask(local: Loaded) -> tuple[Loaded, tuple[Fault, ...], str]:
    """Ask the Job Manager as the node would, and keep nothing of it."""
    from job_item.manager.supplier import Source, Wish, explain, load_managed

    try:
        loaded = load_managed(Source(local.config_path, os.environ), Wish(is_dry=True))
    except NodeError as error:
        return local, (Fault(error.code, error.message, path="end_point", remedy=error.remedy),), ""
    supply = loaded.supply
    if supply is None or not supply.failure:
        return loaded, (), f" {explain(loaded)}"
    return loaded, (Fault(supply.code, supply.failure, path="end_point"),), ""


def _load_to_run(config: Path | None) -> Loaded:
    from job_item.rooms import check_rooms

    check_rooms()
    from job_item.players import audition

    return audition(load_settings(config), os.environ)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
