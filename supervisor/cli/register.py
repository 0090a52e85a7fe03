"""`errors`: the register of codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from job_item.codes import REGISTER, Code
from job_item.errors import BadMessage
from supervisor.cli.complete import complete_code
from supervisor.cli.given import JsonOption, print_json, wants_json


def list_codes(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE", help="One code, an old one too; all where left out.", autocompletion=complete_code
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain one error code, or list them all."""
    entries = list(REGISTER.values()) if code is None else [find_code(code, REGISTER.values())]
    if wants_json(as_json):
        documents = [asdict(entry) for entry in entries]
        print_json(documents if code is None else documents[0])
        return
    from supervisor.show import pairs, print_view, table

    rows = [(entry.code, entry.meaning, entry.remedy, entry.was or "") for entry in entries]
    names = ("code", "meaning", "what to do", "formerly")
    print_view(table(names, rows) if code is None else pairs(dict(zip(names, rows[0], strict=True))))


def find_code(text: str, entries: Iterable[Code]) -> Code:
    """Find a code by its name or by the one it had in the Go worker, in either case.

    Raises `BadMessage` (ERR-SUP-056) that names the nearest codes.
    """
    wanted = text.upper()
    known = {name.upper(): entry for entry in entries for name in (entry.code, entry.was) if name}
    if wanted in known:
        return known[wanted]
    from difflib import get_close_matches

    nearest = get_close_matches(wanted, known, n=3)
    hint = f"Did you mean {' or '.join(nearest)}? `job_item errors` lists them all." if nearest else None
    raise BadMessage("ERR-SUP-056", f"There is no error code {text!r}.", hint)
