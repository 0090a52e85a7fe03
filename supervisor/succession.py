"""From one version of the node to another in one process: what is passed on, and how.

The command that was given is executed again, as at a start; there it is chosen which version runs
(`supervisor.choice`). The API's socket stays open meanwhile, so no connection is refused. Below a guard
(`supervisor.guard`) the node hands the socket over to it and ends; then the guard does that.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

from job_item.exits import Exit
from supervisor.signals import HEARD_SIGNALS, reset

LISTENER_VARIABLE = "JOB_ITEM_LISTENER"
"""`<pid>:<descriptor>` of the API's socket, as the version before has left it for process `pid`."""
GUARDED_VARIABLE = "JOB_ITEM_GUARD"
"""The pid of the guard that this version runs under."""
STORE = "FDSTORE=1\nFDNAME=api"
"""With what a descriptor is handed to a guard (sd_pid_notify_with_fds(3))."""


def is_guarded(environ: Mapping[str, str]) -> bool:
    """Whether this process was started by a guard."""
    return environ.get(GUARDED_VARIABLE) == str(os.getppid())


def pass_on(listener: socket.socket, environ: Mapping[str, str]) -> int:
    """Make room for another version, which gets the socket; returns the exit code where a guard goes on."""
    if not is_guarded(environ):
        begin_again(listener, environ)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.connect(environ.get("NOTIFY_SOCKET", ""))
        socket.send_fds(speaker, [STORE.encode()], [listener.fileno()])
    return Exit.RESTART


def begin_again(listener: socket.socket | None, environ: Mapping[str, str]) -> None:
    """Execute the command of this process again, with the API's socket if there is one. Does not return."""
    told = {name: value for name, value in environ.items() if name != LISTENER_VARIABLE}
    if listener is not None:
        os.set_inheritable(listener.fileno(), True)
        told[LISTENER_VARIABLE] = f"{os.getpid()}:{listener.fileno()}"
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD_SIGNALS)
    reset()  # one that comes meanwhile counts as at any start
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD_SIGNALS)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], told)  # noqa: S606


def take_listener(environ: MutableMapping[str, str]) -> socket.socket | None:
    """The socket that was left for this process; None where there is none."""
    pid, _, descriptor = environ.pop(LISTENER_VARIABLE, "").partition(":")
    if pid != str(os.getpid()) or not descriptor.isdecimal():
        return None
    try:
        os.set_inheritable(int(descriptor), False)
        return socket.socket(fileno=int(descriptor))
    except OSError:
        return None
