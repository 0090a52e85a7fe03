"""`doctor`: what guarantees this host gives, and what is wrong around the node."""

from __future__ import annotations

import os
from dataclasses import asdict

import typer

from job_item.exits import Exit
from supervisor.cli.given import ConfigOption, JsonOption, print_json, wants_json


def examine_host(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what guarantees this host gives, and what is wrong around the node.

    Processes, disks, clock, settings, servers and the node that runs are looked at; nothing is changed. Exits with 0,
    or 1 where something keeps the node from working.
    """
    from supervisor.doctor.examine import case_of, examine, is_well

    lines = examine(case_of(config, os.environ))
    well = is_well(lines)
    if wants_json(as_json):
        print_json({"ok": well, "checks": [asdict(line) for line in lines]})
    else:
        from supervisor.show import print_view, table, word

        rows = [(word(line.verdict), line.check, _told(line.said, line.code), line.remedy) for line in lines]
        print_view(table(("", "check", "found", "what to do"), rows))
    raise typer.Exit(Exit.DONE if well else Exit.FAILURE)


def _told(said: str, code: str | None) -> str:
    return f"{said} [{code}]" if code else said
