"""Write docs/cli.md, and the texts of `--help` that are kept, from the commands that the command line itself has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from job_item.exits import Exit
from supervisor.cli.app import NAME, app
from supervisor.helps import FOLDER, WIDTH, file_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

HEAD = """# Command line

`job_item` without a command runs the node in the foreground; every command says the same as this page with `--help`.
`--config PATH` goes before or after a command and names the node that is meant: its configuration, from which the
command finds the folder and the address of the node. Where the output is no terminal, or with `--json`, tables are
JSON documents. `job_item --install-completion` teaches your shell the commands, events and task ids.

<!-- Written by `make docs` from supervisor/cli/ and job_item/exits.py; edit those instead. -->
"""

EXITS = {
    Exit.DONE: "Done.",
    Exit.FAILURE: "It failed, or was refused; standard error says why, with a code of [errors.md](errors.md).",
    Exit.USAGE: "The command line cannot be read, or what was sent is refused because of what it says.",
    Exit.UNAVAILABLE: "Nobody answers: no node runs with this configuration, or a server is away.",
    Exit.BUG: "An error of the program; please report it.",
    Exit.RESTART: "The node asks to be started again.",
    Exit.CASCADE: "A background command with `cascade_exit` is down for good, and the node stopped with it.",
    Exit.CONFIGURATION: "The settings have faults.",
}
FURTHER = (
    ("124", "`submit --wait` or `--follow`: the job ended with status `timeout`."),
    ("130", "Ctrl-C ended a command that was watching."),
    ("143", "`submit --wait` or `--follow`: the job ended with status `terminate`."),
    ("128+n", "Signal n ended it: a node whose drain was cut short, `save`, or the command of a job."),
    (
        "other",
        "`submit --wait` or `--follow`: that of the job's command; `save --status`: that of the producer.",
    ),
)


def commands(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """All commands that `--help` shows below `command`, in its order: path, command, context."""
    for name, below in command.commands.items():
        if below.hidden:
            continue
        inner = typer.Context(below, parent=context, info_name=name)
        yield inner.command_path, below, inner
        if hasattr(below, "commands"):
            yield from commands(below, inner)


def cell(text: str) -> str:
    """Make `text` safe for one cell of a Markdown table, on one line."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def plain(name: str) -> str:
    """The name of a parameter as it is typed: no types, a number as N, choices as they are."""
    name = re.sub(r" <(?:str|list\[.*\])>$", "", name).replace("<int range>", "N")
    return re.sub(r"<(.*)>$", r"\1", name)


def parameters(command: Any, context: Any) -> str:
    """The Markdown table of arguments and options, without `--help`, which all commands have."""
    records = [found for each in command.get_params(context) if (found := each.get_help_record(context))]
    rows = [f"| `{cell(plain(name))}` | {cell(says)} |" for name, says in records if not name.endswith("--help")]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""


def section(path: str, command: Any, context: Any) -> str:
    """One command."""
    words = " ".join(command.collect_usage_pieces(context))
    shown = parameters(command, context)
    parts = [f"## `{path}`", f"```text\n{path} {words}\n```", (command.help or "").strip(), shown]
    return "\n\n".join(part for part in parts if part)


def exits() -> str:
    """The Markdown table of exit codes."""
    rows = [(str(int(code)), EXITS[code]) for code in Exit] + list(FURTHER)
    return "\n".join(["## Exit codes", "", "| code | meaning |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def page() -> str:
    """The whole page."""
    root = get_command(app)
    context = typer.Context(root, info_name=NAME)
    sections = [section(NAME, root, context), *(section(*each) for each in commands(root, context)), exits()]
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


def helps() -> dict[Path, str]:
    """What `--help` says of each command on a terminal that is wide enough, by the file that keeps it."""
    root = get_command(app)
    context = typer.Context(root, info_name=NAME, terminal_width=WIDTH - 2, **root.context_settings)
    texts = {file_of(()): root.get_help(context)}
    for path, command, inner in commands(root, context):
        texts[file_of(path.split()[1:])] = command.get_help(inner)
    return {file: text + "\n" for file, text in texts.items()}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.iterdir():
        file.unlink()
    for file, text in helps().items():
        file.write_text(text, encoding="utf-8")
