"""`config show`: the settings in force and where each of them comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import typer

from supervisor.cli.given import ConfigOption, JsonOption, load_settings, print_json, wants_json

app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


@app.callback()
def _config(config: ConfigOption = None) -> None:
    pass


@app.command("show")
def show_settings(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the merged settings, secrets left out, with the layer that each value comes from."""
    loaded = load_settings(config)
    from job_item.load import redacted

    values = redacted(loaded)
    if wants_json(as_json):
        places = {name: str(getattr(loaded, name)) for name in ("config_path", "work_dir", "state_dir")}
        print_json({**places, "settings": values, "layers": dict(loaded.layers)})
    else:
        from supervisor.show import print_view, table

        rows = [(path, text, loaded.layers.get(path, "default")) for path, text in lines(values)]
        print_view(table(("setting", "value", "from"), rows))


def lines(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give each setting that has a value, by its dotted path; text as it is, everything else as JSON."""
    from job_item.layers import leaves
    from job_item.yamlfile import dotted

    for path, value in leaves(settings):
        if value is not None:
            yield dotted(path), value if isinstance(value, str) else json.dumps(value)
