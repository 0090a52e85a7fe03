"""Which steps make a service of this node: decided from what is there, carried out elsewhere (`steps`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from supervisor.newconfig import Wish, text_of
from supervisor.service.steps import Command, NewFile, Step
from supervisor.service.unit import NAME, USER, Program, system_unit, user_unit


@dataclass(frozen=True, slots=True)
class Origin:
    """The job_item that is installed: a command that is there already, or a pyz that is unpacked for the service.

    `python` is the interpreter of the machine that unpacks it, `label` the name of the folder that it is given, which
    no other version has.
    """

    command: Path
    pyz: Path | None = None
    python: Path | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parts of a service belong. `user` is whom the node runs as, None for one user's own service."""

    environments: Path
    programs: Path
    unit: Path
    config: Path
    state: Path
    user: str | None = None

    @property
    def work(self) -> Path:
        """The directory of jobs."""
        return self.state / "work"


SYSTEM = Place(
    environments=Path("/opt/job_item"),
    programs=Path("/usr/local/bin"),
    unit=Path("/etc/systemd/system") / NAME,
    config=Path("/etc/job_item/config.yaml"),
    state=Path("/var/lib/job_item"),
    user=USER,
)


def own_place(home: Path) -> Place:
    """The place of a user's own service (systemd.unit(5), XDG Base Directory Specification)."""
    return Place(
        environments=home / ".local" / "share" / "job_item",
        programs=home / ".local" / "bin",
        unit=home / ".config" / "systemd" / "user" / NAME,
        config=home / ".config" / "job_item" / "config.yaml",
        state=home / ".local" / "state" / "job_item",
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What is there already, so that it is left alone."""

    has_user: bool
    has_config: bool
    has_environment: bool
    may_link: bool


def command_of(origin: Origin, place: Place) -> Path:
    """The command that the unit starts."""
    return origin.command if origin.pyz is None else environment_of(origin, place) / "bin" / "job_item"


def environment_of(origin: Origin, place: Place) -> Path:
    """The folder that a pyz is unpacked to: one for each version, so that the one that runs is never touched."""
    return place.environments / origin.label


def unit_of(origin: Origin, place: Place) -> str:
    """The text of the unit."""
    program = Program(command_of(origin, place), place.config)
    return user_unit(program) if place.user is None else system_unit(program, place.user)


def plan(origin: Origin, place: Place, found: Found) -> list[Step]:
    """All that is to be done, in its order; the service starts, or starts anew, when all else is there and checked."""
    command = command_of(origin, place)
    check = ("check", "--config", str(place.config))
    as_user = () if place.user is None else ("runuser", "-u", place.user, "--")
    systemctl = ("systemctl", "--user") if place.user is None else ("systemctl",)
    return [
        *_account(place, found),
        *_environment(origin, place, found),
        *_folders(place),
        *_config(place, found),
        Command((*as_user, str(command), *check), {"STATE_DIRECTORY": str(place.state)}),
        NewFile(place.unit, unit_of(origin, place)),
        *([Command(("ln", "-sfn", str(command), str(place.programs / "job_item")))] if found.may_link else []),
        Command((*systemctl, "daemon-reload")),
        Command((*systemctl, "enable", NAME)),
        Command((*systemctl, "restart", NAME)),
    ]


def _account(place: Place, found: Found) -> Iterable[Step]:
    if place.user is not None and not found.has_user:
        home = ("--home-dir", str(place.state), "--no-create-home", "--shell", "/usr/sbin/nologin")
        yield Command(("useradd", "--system", "--user-group", *home, place.user))


def _environment(origin: Origin, place: Place, found: Found) -> Iterable[Step]:
    """Unpacked by the pyz's own tools: a virtual environment, compiled, that the installing user alone may write to."""
    if origin.pyz is None or found.has_environment:
        return
    folder = environment_of(origin, place)
    yield Command(("install", "-d", "-m", "0755", str(place.environments)))
    options = ("venv", "--force", "--compile", "--site-packages-copies", "--non-hermetic-scripts")
    yield Command((str(origin.python), "-I", str(origin.pyz), *options, str(folder)), {"PEX_TOOLS": "1"})


def _folders(place: Place) -> Iterable[Step]:
    owner = () if place.user is None else ("-o", place.user, "-g", place.user)
    reader = () if place.user is None else ("-g", place.user)
    yield Command(("install", "-d", "-m", "0700", *owner, str(place.state), str(place.work)))
    yield Command(("install", "-d", "-m", "0750", *reader, str(place.config.parent)))
    if place.user is None:
        yield Command(("mkdir", "-p", str(place.unit.parent), str(place.programs)))


def _config(place: Place, found: Found) -> Iterable[Step]:
    if not found.has_config:
        places = f"# So that commands such as `job_item status` find the node too.\nstate_dir: {place.state}\n"
        text = f"{text_of(Wish())}\n{places}work_dir: {place.work}\n"
        yield NewFile(place.config, text, 0o640, place.user)
