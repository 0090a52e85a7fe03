"""What every command is given: the configuration it speaks of, and how to answer."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from job_item.errors import NodeError, SettingsError

if TYPE_CHECKING:
    from job_item.load import Loaded
    from supervisor.client import Client


def nearest_config(ctx: typer.Context, value: Path | None) -> Path | None:
    """Take the option of this command or else that of the command around it, so that it may stand before or after."""
    if value is None and ctx.parent is not None:
        return ctx.parent.params.get("config")
    return value


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="PATH",
        help="Configuration file.  [env var: CONFIG_PATH; default: config.yaml]",
        callback=nearest_config,
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, as when the output is no terminal.")]


def load_settings(config: Path | None) -> Loaded:
    """Load the settings that `config`, CONFIG_PATH or the default names. Raises `SettingsError` with all faults."""
    from job_item.load import load

    return load(config, os.environ)


def open_client(config: Path | None, **how: float) -> Client:
    """Make a client of the node that runs with this configuration (`how`: as `Client`); nothing is connected yet.

    A configuration that is broken just now is no hindrance while a node runs on the state folder that is the default.
    Raises `SettingsError`.
    """
    from supervisor.client import Client

    try:
        return Client(load_settings(config).state_dir, **how)
    except SettingsError:
        client = Client(_default_state_dir(config), **how)
        with suppress(NodeError):
            client.node()
            return client
        raise


def _default_state_dir(config: Path | None) -> Path:
    from job_item.folders import default_state_dir

    path = Path(config or os.environ.get("CONFIG_PATH") or "config.yaml").absolute()
    return default_state_dir(path, os.environ)[0]


def print_json(document: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def wants_json(as_json: bool) -> bool:
    """Tell whether a program reads the answer: asked for, or no terminal at the other end."""
    return as_json or not sys.stdout.isatty()
