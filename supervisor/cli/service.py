"""`install-service`: make a service of systemd of this node."""

from __future__ import annotations

import hashlib
import os
import pwd
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from job_item import __version__
from job_item.errors import NodeError, Unavailable
from supervisor.cli.given import ConfigOption

if TYPE_CHECKING:
    from supervisor.service.install import Found, Origin, Place


def install_service(
    config: ConfigOption = None,
    user: Annotated[bool, typer.Option("--user", help="A service of your own, without root.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, do nothing.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the unit alone, do nothing.")] = False,
) -> None:
    """Install this node as a service of systemd, or upgrade the one that is there, and start it.

    Run from job_item.pyz it unpacks that to a folder of its own below /opt/job_item first. A user `job_item`, the
    folders /etc/job_item and /var/lib/job_item and a configuration are made where they are missing; with --user all of
    that is below your home. The configuration is checked before the service is started.
    """
    from supervisor.service.install import SYSTEM, own_place, plan, unit_of
    from supervisor.service.steps import carry_out

    place = own_place(Path.home()) if user else SYSTEM
    if config is not None:
        place = replace(place, config=config.absolute())
    origin = find_origin()
    if show:
        typer.echo(unit_of(origin, place), nl=False)
        return
    steps = plan(origin, place, look(origin, place))
    if dry_run:
        typer.echo("\n".join(str(step) for step in steps))
        return
    refuse_here(user)
    carry_out(steps, os.environ)
    typer.echo(f"Installed: {place.unit}")
    scope = "--user " if user else ""
    typer.echo(f"The node runs: `systemctl {scope}status job-item`. Its configuration: {place.config}")
    if user:
        typer.echo("It ends when you log out, unless you say: loginctl enable-linger")


def refuse_here(user: bool) -> None:
    """Refuse without the rights or without systemd. Raises `NodeError` (ERR-SUP-058) or `Unavailable` (ERR-SUP-059)."""
    if not user and os.geteuid() != 0:
        again = shlex.join(["sudo", *_own_words()])
        raise NodeError(
            "ERR-SUP-058",
            "A service of the whole machine can only be installed by root.",
            f"Run `{again}`, or add --user for a service of your own; --dry-run shows what would be done.",
        )
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "systemd"
    sign = own if user else Path("/run/systemd/system")  # sd_booted(3)
    if not sign.is_dir():
        raise Unavailable("ERR-SUP-059", f"No systemd{' of this user' if user else ''} runs here: {sign} is missing.")


def find_origin() -> Origin:
    """The job_item that runs this command. Raises `NodeError` (ERR-SUP-060) where a service could not start it."""
    from supervisor.service.install import Origin

    command = Path(sys.executable).with_name("job_item")
    given = os.environ.get("PEX", "")  # told by a pyz to the environment that it has unpacked itself to
    if given and Path(given).is_file() and (Path(sys.prefix) / "PEX-INFO").is_file():
        pyz = Path(given).absolute()
        with pyz.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
        return Origin(command, pyz, python, f"{__version__}-{digest[:12]}")
    if not os.access(command, os.X_OK):
        raise NodeError(
            "ERR-SUP-060",
            f"There is no command {command} that a service could start.",
            "Install job_item into a virtual environment, or use job_item.pyz.",
        )
    return Origin(command)


def look(origin: Origin, place: Place) -> Found:
    """See what is there already."""
    from supervisor.service.install import Found, environment_of

    link = place.programs / "job_item"
    # Written when all else is unpacked.
    is_whole = origin.pyz is not None and (environment_of(origin, place) / "bin" / "job_item").exists()
    is_ours = link.is_symlink() and link.readlink().is_relative_to(place.environments)
    return Found(
        has_user=place.user is not None and _has_user(place.user),
        has_config=place.config.exists(),
        has_environment=is_whole,
        may_link=origin.pyz is not None and (is_ours or not os.path.lexists(link)),
    )


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _own_words() -> list[str]:
    """This command as it can be said again from anywhere."""
    pyz = os.environ.get("PEX")
    own = [str(Path(pyz).absolute())] if pyz else [sys.executable, "-m", "supervisor"]
    return [*own, *sys.argv[1:]]
