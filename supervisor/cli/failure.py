"""How a command that failed says so: one sentence, what to do, the code; and the exit code it ends with."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Mapping

import typer

from job_item.codes import REGISTER
from job_item.errors import BadMessage, Bug, Fault, NodeError, SettingsError, Unavailable
from job_item.exits import Exit

_EXITS: tuple[tuple[type[NodeError], Exit], ...] = (
    (SettingsError, Exit.CONFIGURATION),
    (BadMessage, Exit.USAGE),
    (Unavailable, Exit.UNAVAILABLE),
    (Bug, Exit.BUG),
    (NodeError, Exit.FAILURE),
)


def exit_code_of(error: Exception) -> Exit:
    """Map a failure to the exit code of its kind (architecture, section 8); what is no failure of ours is a bug."""
    return next((code for kind, code in _EXITS if isinstance(error, kind)), Exit.BUG)


def tell(error: Exception) -> Exit:
    """Say on standard error what went wrong and give the exit code; only LOG_LEVEL=DEBUG shows the trace of a bug."""
    if isinstance(error, SettingsError):
        tell_faults(error.faults)
    elif isinstance(error, NodeError):
        _say("error", error.message, error.code, error.remedy)
    else:
        if os.environ.get("LOG_LEVEL", "").upper() == "DEBUG":
            traceback.print_exception(error)
        _say("error", f"Unexpected {type(error).__name__}: {error}", "ERR-SUP-055", None)
    return exit_code_of(error)


def tell_faults(faults: Iterable[Fault]) -> None:
    """List faults and warnings of the settings on standard error, each with its place and what to do."""
    for fault in faults:
        place = ":".join(str(part) for part in (fault.file, fault.line) if part is not None)
        sentence = f"{fault.path}: {fault.message}" if fault.path else fault.message
        _say("warning" if fault.warning else "error", sentence, fault.code, fault.remedy, place)


def tell_rejected(faults: Iterable[str]) -> None:
    """List the faults of settings that a node has not taken over, as it tells them: whole sentences."""
    from supervisor.wording import harmless

    for fault in faults:
        typer.echo(f"{_label('error')} {harmless(fault)}", err=True, color=_colour())
    typer.echo("The old settings stay in force. `job_item check` shows what to do.", err=True)


def tell_job_error(error: Mapping[str, str], task_id: str) -> None:
    """Say why a job failed, as the node tells it."""
    _say("error", error["message"], error["code"], error["remedy"].replace("TASK_ID", task_id))


def remedy_of(remedy: str | None, code: str) -> str:
    """The remedy at hand, else the register's own."""
    entry = REGISTER.get(code)
    return remedy or (entry.remedy if entry else "")


def _say(kind: str, sentence: str, code: str, remedy: str | None, place: str = "") -> None:
    typer.echo(f"{place + ': ' if place else ''}{_label(kind)} {sentence} [{code}]", err=True, color=_colour())
    todo = remedy_of(remedy, code)
    if todo:
        typer.echo(f"  {todo}", err=True)


def _label(kind: str) -> str:
    return typer.style(f"{kind}:", fg=typer.colors.RED if kind == "error" else typer.colors.YELLOW, bold=True)


def _colour() -> bool | None:
    """Whether to use colour: never with NO_COLOR, else as the terminal can."""
    return False if os.environ.get("NO_COLOR") else None
