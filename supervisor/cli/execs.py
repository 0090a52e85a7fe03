"""`execs`: the background commands."""

from __future__ import annotations

from supervisor.cli.given import ConfigOption, JsonOption, open_client, print_json, wants_json


def list_execs(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the background commands."""
    execs = open_client(config).execs()
    if wants_json(as_json):
        print_json(execs)
        return
    from supervisor.show import print_view
    from supervisor.views import exec_table

    print_view(exec_table(execs) if execs else "No background commands.")
