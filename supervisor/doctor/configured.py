"""What the settings need of this machine: that they can be used, their shells, secrets, port and servers."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from job_item.codes import REGISTER
from job_item.errors import Fault, Unavailable
from job_item.settings import Settings
from supervisor.doctor.line import Case, Line, fail, of_error, ok, warn
from supervisor.listen import bind
from supervisor.reach import servers

SHELL, EXPOSED = "ERR-CFG-022", "ERR-CFG-024"
ELSEWHERE = (SHELL, EXPOSED, "ERR-CFG-020", "ERR-CFG-026")
"""Faults that have lines of their own; the last two are those of task files and open files."""
FAULTS_SHOWN = 20
REACH_S = 5.0

Reach = Callable[[str, int, bool], None]
"""Connects to a host and port, with TLS or not, or raises OSError."""


def settings(case: Case) -> Iterator[Line]:
    """Whether the settings can be used."""
    faults = [fault for fault in case.faults if fault.code not in ELSEWHERE]
    for fault in faults[:FAULTS_SHOWN]:
        yield _line("settings", fault)
    if not faults:
        yield ok("settings", f"{case.config_path} can be used.")


def shells(case: Case) -> Iterator[Line]:
    """Whether the shells are there that the settings need."""
    missing = [fault for fault in case.faults if fault.code == SHELL]
    yield from (_line("shells", fault) for fault in missing)
    if missing:
        return
    wanted = {job.shell for job in case.loaded.settings.jobs if isinstance(job.cmd, str)} if case.loaded else set()
    if case.loaded and case.loaded.settings.execs:
        wanted.add("bash")
    if wanted:
        yield ok("shells", f"Found: {', '.join(str(shutil.which(shell) or shell) for shell in sorted(wanted))}.")
    else:
        yield ok("shells", "The settings need none.")


def secrets(case: Case) -> Iterator[Line]:
    """Whether files with secrets are for the node's user only."""
    found = [fault for fault in case.faults if fault.code == EXPOSED]
    yield from (_line("secrets", fault) for fault in found)
    if not found:
        yield ok("secrets", "No file with a secret is open to other users.")


def port(case: Case) -> Iterator[Line]:
    """Whether the API could listen; a node that runs here has the port already."""
    if case.loaded is None:
        return
    api = case.loaded.settings.api
    if _is_running(case):
        yield ok("port", "The node that runs here has its port.")
        return
    try:
        with bind(api) as listener:
            got = listener.getsockname()[1]
    except Unavailable as error:
        yield of_error("port", error)
        return
    if api.port and got != api.port:
        said = f"Port {api.port} of {api.host} is taken by another program; the node would take any free one."
        yield warn("port", "ERR-SUP-008", said)
    else:
        yield ok("port", f"The API can listen on {api.host}" + (f" port {api.port}." if api.port else "."))


def connectivity(case: Case, reach: Reach | None = None) -> Iterator[Line]:
    """Whether the servers can be reached that the settings name, with TLS where they ask for it."""
    if case.loaded is None:
        return
    found = servers(case.loaded.settings)
    secure = secured(case.loaded.settings)
    if not found and case.loaded.settings.reefguide is None:
        yield ok("servers", "The settings name none.")
    for path, (host, number) in found.items():
        kind = "TLS" if secure.get(path) else "TCP"
        try:
            (reach or connect)(host, number, bool(secure.get(path)))
        except OSError as error:
            reason = getattr(error, "verify_message", "") or error.strerror or str(error) or type(error).__name__
            yield fail("servers", "ERR-SUP-057", f"{path}: {host}:{number} cannot be reached ({kind}): {reason}.")
        else:
            yield ok("servers", f"{path}: {host}:{number} can be reached ({kind}).")


def job_api(case: Case) -> Iterator[Line]:
    """Whether the ReefGuide API gives jobs to this node, where it polls one."""
    settings = case.loaded.settings.reefguide if case.loaded else None
    if settings is None:
        return
    from supervisor.reefcheck import look

    faults = look(settings, case.state_dir)
    yield from (_line("job API", fault) for fault in faults)
    if not faults:
        types = ", ".join(settings.job_types)
        yield ok("job API", f"{settings.api_endpoint} takes {settings.username} and knows {types}.")


def secured(settings: Settings) -> Mapping[str, bool]:
    """Which servers are tried with TLS. A broker has certificates of its own, which were proved when they were loaded,
    and NATS begins in the clear: these are tried with TCP only.
    """
    return {"end_point": urlsplit(settings.end_point).scheme == "https"}


def connect(host: str, number: int, is_secure: bool) -> None:
    """Make a connection, with a TLS handshake where it is asked for, and end it. Raises OSError."""
    with socket.create_connection((host, number), timeout=REACH_S) as plain:
        if is_secure:
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                return


def _is_running(case: Case) -> bool:
    from supervisor.client import Client

    with suppress(Unavailable):
        Client(case.state_dir).node()
        return True
    return False


def _line(check: str, fault: Fault) -> Line:
    places = (Path(fault.file).name if fault.file else None, fault.line)
    place = ":".join(str(part) for part in places if part is not None)
    said = ": ".join(part for part in (place, fault.path, fault.message) if part)
    remedy = fault.remedy or (REGISTER[fault.code].remedy if fault.code in REGISTER else "")
    return Line(check, "warn" if fault.warning else "fail", said + "." * (said[-1] not in ".?!"), fault.code, remedy)


def user(_case: Case) -> Iterator[Line]:
    """Whether the node runs with more rights than it needs."""
    if os.geteuid() == 0:
        yield warn("user", "ERR-HST-112", "This user is root: every job runs with all rights.")
    else:
        yield ok("user", f"This user ({os.geteuid()}) is not root.")
