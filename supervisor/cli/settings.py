"""`config show`: the settings in force and where each of them comes from."""

from __future__ import annotations

import json

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
        from job_item.layers import leaves
        from job_item.yamlfile import dotted
        from supervisor.show import print_view, table

        rows = [
            (path, json.dumps(value), loaded.layers.get(path, "default"))
            for path, value in ((dotted(key), value) for key, value in leaves(values))
        ]
        print_view(table(("setting", "value", "from"), rows))
