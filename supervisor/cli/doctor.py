"""`doctor`: what guarantees this host gives, and what is wrong around the node."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from job_item.exits import Exit
from supervisor.cli.given import ConfigOption, JsonOption, print_json, wants_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from supervisor.doctor.line import Line


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
        from supervisor.show import print_view

        print_view(_view(lines))
        typer.echo(f"\n{_verdict(lines)}")
    raise typer.Exit(Exit.DONE if well else Exit.FAILURE)


def _view(lines: Sequence[Line]) -> Table:
    """A row for each check, and what to do below what was found."""
    from supervisor.show import table, word

    rows: list[tuple[str | Text, str, str]] = []
    for line in lines:
        found = line.said if line.code is None else f"{line.said} [{line.code}]"
        rows.append((word(line.verdict), line.check, found))
        if line.remedy:
            rows.append(("", "", f"-> {line.remedy}"))
    return table(("", "check", "found"), rows)


def _verdict(lines: Sequence[Line]) -> str:
    """What all of it comes to, in one sentence."""
    counts = Counter(line.verdict for line in lines)
    if counts["fail"]:
        return f"The node cannot work here before what is marked `fail` is mended ({counts['fail']} of {len(lines)})."
    if counts["warn"]:
        return f"The node can work here; {counts['warn']} of {len(lines)} checks say what could be better."
    return f"The node can work here; all {len(lines)} checks are well."
