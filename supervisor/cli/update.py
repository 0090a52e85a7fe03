"""`update`: whether the Job Manager offers a newer version, or bringing one to this node (`supervisor.cli.apply`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from job_item import __version__
from job_item.errors import NodeError
from job_item.manager.offer import NUMBER
from supervisor.cli.given import ConfigOption, JsonOption, load_settings, print_json, wants_json

if TYPE_CHECKING:
    from job_item.manager.offer import Offer


def update_node(
    check: Annotated[
        bool, typer.Option("--check", help="Ask the Job Manager for a newer version; nothing is downloaded.")
    ] = False,
    apply: Annotated[
        str | None,
        typer.Option("--apply", metavar="URL", help="Update to this release file; its artifact lies beside it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --apply: show what would be done, and why not; exit 0 or 1.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the Job Manager whether it offers a newer version, or update to a release.

    With --check nothing is downloaded or run, and the node need not run. Exits with 0 whether there is one or not;
    `--json` says it for programs (`offered`). With --apply the release is fetched, checked and examined; then the node
    that runs changes over as `update.jobs` says, ending no job, and goes back by itself where the new version does not
    do well. Without a node that runs, the next start does that.
    """
    if apply is not None and not check:
        from supervisor.cli.apply import apply_release

        apply_release(apply, config, is_dry=dry_run, is_json=wants_json(as_json))
    elif check and apply is None and not dry_run:
        _look(config, as_json)
    else:
        remedy = (
            "`job_item update --check` asks for a newer version, `job_item update --apply URL [--dry-run]` takes one."
        )
        raise NodeError("ERR-UPD-001", "It was not said what to do about updates.", remedy)


def _look(config: Path | None, as_json: bool) -> None:
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
