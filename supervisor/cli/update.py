"""`update --check`: whether the Job Manager offers a newer version; nothing is downloaded or run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from job_item import __version__
from job_item.errors import NodeError
from job_item.manager.offer import NUMBER
from supervisor.cli.given import ConfigOption, JsonOption, load_settings, print_json, wants_json

if TYPE_CHECKING:
    from job_item.manager.offer import Offer


def look_for_update(
    check: Annotated[bool, typer.Option("--check", help="Ask the Job Manager; nothing is downloaded.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the Job Manager whether it offers a newer version of the worker.

    Nothing is downloaded or run, and the node need not run. Exits with 0 whether there is one or not; `--json` says it
    for programs (`offered`).
    """
    if not check:
        remedy = "`job_item update --check` says whether there is one; install it the way this one was installed."
        raise NodeError("ERR-UPD-001", "job_item does not install a newer version by itself.", remedy)
    settings = load_settings(config).settings
    if not settings.end_point:
        raise NodeError("ERR-UPD-003", "There is nobody to ask for a newer version: this node has no Job Manager.")
    from job_item.manager.question import ask_settings

    offer = ask_settings(settings).offer
    if wants_json(as_json):
        print_json(document(offer))
    elif offer is None:
        typer.echo(f"job_item {__version__} will do: the Job Manager offers nothing newer than version {NUMBER}.")
    else:
        from supervisor.wording import harmless

        typer.echo(harmless(f"{offer.sentence} [ERR-UPD-002]"))
        if offer.link:
            typer.echo(harmless(f"  It lies at {offer.link}; nothing was downloaded."))


def document(offer: Offer | None) -> dict[str, Any]:
    """What programs are told."""
    offered = None if offer is None else {"number": offer.number, "version": offer.version, "link": offer.link}
    return {"version": __version__, "number": NUMBER, "offered": offered}
