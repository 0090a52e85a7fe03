"""`config show`: the settings in force and where each comes from; `config schema`: what may stand in the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from supervisor.cli.given import ConfigOption, JsonOption, print_json, wants_json

if TYPE_CHECKING:
    from job_item.load import Loaded
    from job_item.manager.supply import Supply

app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


@app.callback()
def _config(config: ConfigOption = None) -> None:
    pass


@app.command("show")
def show_settings(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the merged settings, secrets left out, with the layer that each value comes from.

    The Job Manager is not asked: its last answer is shown.
    """
    from job_item.load import redacted
    from job_item.manager.supplier import Source, load_kept

    loaded = load_kept(Source(config, os.environ))
    values = redacted(loaded)
    if wants_json(as_json):
        places = {name: str(getattr(loaded, name)) for name in ("config_path", "work_dir", "state_dir")}
        print_json({**places, "settings": values, "layers": dict(loaded.layers), "manager": manager(loaded)})
    else:
        from supervisor.show import print_view, table

        rows = [(path, text, loaded.layers.get(path, "default")) for path, text in lines(values)]
        if loaded.supply is not None:
            rows += [(f"event {event}", text, loaded.supply.origin) for event, text in events(loaded.supply)]
        print_view(table(("setting", "value", "from"), rows))


@app.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of the configuration, by which editors complete and check it.

    Write it beside the configuration, and name it in that one's first line:
    `# yaml-language-server: $schema=config.schema.json`.
    """
    from importlib.resources import files

    typer.echo(files("job_item").joinpath("config.schema.json").read_text(encoding="utf-8"), nl=False)


def manager(loaded: Loaded) -> dict[str, Any] | None:
    """What is known of the Job Manager from its last answer; None where there is none."""
    supply = loaded.supply
    if supply is None:
        return None
    from job_item.manager.supply import moment

    known = {event: {"limit": one.limit, "timeout_s": one.timeout_s} for event, one in supply.answer.events.items()}
    return {"url": supply.url, "answered_at": moment(supply.answered_at), "events": known}


def events(supply: Supply) -> Iterator[tuple[str, str]]:
    """The events that the Job Manager knows, each with its bounds."""
    for event, one in sorted(supply.answer.events.items()):
        bounds = [f"limit {one.limit}"] * bool(one.limit) + [f"timeout {one.timeout_s:g} s"] * bool(one.timeout_s)
        yield event, ", ".join(bounds) or "registered"


def lines(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give each setting that has a value, by its dotted path; text as it is, everything else as JSON."""
    from job_item.layers import leaves
    from job_item.yamlfile import dotted

    for path, value in leaves(settings):
        if value is not None:
            yield dotted(path), value if isinstance(value, str) else json.dumps(value)
