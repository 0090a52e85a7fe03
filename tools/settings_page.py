"""Fill in the tables of docs/settings.md from the models of the settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from job_item import connections
from job_item.execspec import Exec
from job_item.probespec import HealthProbe, ReadyProbe
from job_item.reefspec import ReefGuide
from job_item.resources import Resources
from job_item.settings import Job, Settings
from tools.marks import put_between
from tools.settings_models import Setting, settings_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

APART = (Job, Exec, Resources, ReadyProbe, HealthProbe)
"""Sections with a table of their own, in which keys stand without what is around them."""
PROJECT = ("end_point", "manager", "allow_remote_commands", "credential", "uuid", "project", "job_item_")
SECTIONS = ("api", "limits", "keep", "log", "restart", "heartbeat", "update", "handlers", "recycle")
ELSEWHERE = ("jobs", "execs", "broker_connection", "reefguide")


def tables() -> dict[str, str]:
    """All tables by their marks."""
    top = tuple(flat(Settings))
    common = {setting.path for setting in settings_of(connections.Connection)}
    found: dict[str, Iterable[Setting]] = {
        "node": [one for one in top if not one.path.startswith((*PROJECT, *SECTIONS, *ELSEWHERE))],
        "project": [one for one in top if one.path.startswith(PROJECT)],
        **{name: [one for one in top if one.path.split(".")[0] == name] for name in SECTIONS},
        "jobs": flat(Job),
        "execs": flat(Exec),
        "resources": flat(Resources, "resources."),
        "ready": flat(ReadyProbe, "ready."),
        "health": flat(HealthProbe, "health."),
        "broker_connection": flat(connections.Connection),
        **{
            kind: [one for one in settings_of(model) if one.path not in common]
            for kind, model in (
                ("nats", connections.NatsConnection),
                ("rabbitmq", connections.RabbitmqConnection),
                ("redis", connections.RedisConnection),
            )
        },
        "reefguide": flat(ReefGuide, "reefguide."),
    }
    return {name: table(found[name]) for name in found}


def flat(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """The settings of a section with those of the sections within it, but for those that have a table of their own."""
    for setting in settings_of(model, prefix):
        if not setting.below or setting.below[0] in APART or len(setting.below) > 1:
            yield setting
        else:
            yield from flat(setting.below[0], f"{setting.path}.")


def table(settings: Iterable[Setting]) -> str:
    """The Markdown table of some settings."""
    rows = [f"| `{one.path}` | {kind(one)} | {default(one)} | {meaning(one)} |" for one in settings]
    return "\n".join(["| key | kind | default | meaning |", "|---|---|---|---|", *rows])


def kind(setting: Setting) -> str:
    """What may be written, with its unit and bounds."""
    if setting.choices:
        return f"{setting.kind} {', '.join(f'`{one}`' for one in setting.choices)}"
    unit = {"duration": "duration (s)", "size": "size (bytes)"}.get(setting.kind, setting.kind)
    return ", ".join((unit, *setting.bounds))


def default(setting: Setting) -> str:
    """What counts where the key is left out."""
    if setting.said_default:
        return setting.said_default
    if setting.is_required:
        return "must be set"
    if setting.below:
        return "none"
    return shown(setting, setting.default)


def shown(setting: Setting, value: Any) -> str:
    """A value as somebody would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case SecretStr():
            return "empty"
        case int() | float() if setting.kind in ("duration", "size"):
            return f"`{amount(setting.kind, value)}`"
        case float():
            return f"`{value:g}`"
        case tuple():
            return f"`[{', '.join(map(str, value))}]`"
        case int() | str():
            return f"`{value}`" if value != "" else "empty"
        case _:  # made anew for each model: an empty mapping
            return "`{}`"


UNITS: Mapping[str, tuple[tuple[int, str], ...]] = {
    "duration": ((86400, "d"), (3600, "h"), (60, "m")),
    "size": ((1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB")),
}


def amount(kind: str, value: float) -> str:
    """A duration or a size with the largest unit that leaves a whole number."""
    for worth, unit in UNITS[kind]:
        if value and value % worth == 0:
            return f"{value / worth:g}{unit}"
    if kind == "duration" and value and value < 1:
        return f"{value * 1000:g}ms"
    return f"{value:g}"


def meaning(setting: Setting) -> str:
    """What it does, and the variables that say the same where the text does not name them."""
    named = [name for name in setting.variables if f"`{name}`" not in setting.text and name not in setting.said_default]
    units = [f"`{name}`{', in milliseconds' if name.endswith('_MS') else ''}" for name in named]
    return setting.text + (f" Variable: {', '.join(units)}." if units else "")


def fill_in(text: str) -> str:
    """The page with its tables as they are now."""
    return put_between(text, tables())


if __name__ == "__main__":
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
