"""The text of a unit of systemd for a node; deploy/job-item.service is what it says for the default places."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAME = "job-item.service"
USER = "job_item"


@dataclass(frozen=True, slots=True)
class Program:
    """What a unit starts: the command, and the configuration that it is given."""

    command: Path
    config: Path


DEFAULT = Program(Path("/opt/job_item/bin/job_item"), Path("/etc/job_item/config.yaml"))

_SYSTEM_HEAD = """# A node as a service of the machine; `job_item install-service` writes this file.
[Unit]
Description=job_item worker node
Wants=network-online.target
After=network-online.target
"""
_USER_HEAD = """# A node as a service of one user, written by `job_item install-service --user`.
[Unit]
Description=job_item worker node
"""

_SERVICE = """
[Service]
# The node says when it is ready, what it does (systemctl status), and that it stops; only its main process may.
Type=notify
NotifyAccess=main
ExecStart={command} --config {config}
# An edit of the configuration takes effect by itself; this reads it again at once, and returns when it is in force.
ExecReload=/bin/kill -HUP $MAINPID
{places}
# Fed only while each of the node's rooms makes progress; 4 times heartbeat.timeout at least.
WatchdogSec=90
# A node that gives up (1), is told to start anew (75), died of a signal or starved the watchdog is started again;
# one that stopped because of an exec (76) or refuses its settings (78) is not.
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=76 78
TimeoutStartSec=90

# TERM goes to the node alone, which lets running jobs end (drain_grace) and stops its execs; whatever is left in the
# control group then, or after TimeoutStopSec, is killed. While the node drains and makes progress it asks for more
# time, so this need only be longer than a node takes that does nothing.
KillMode=mixed
TimeoutStopSec=60

# The control group is the node's own: `resources.cgroup` may divide it. A job that runs out of memory ends alone.
Delegate=yes
OOMPolicy=continue
LimitNOFILE=65536
NoNewPrivileges=yes
"""
_HARDENING = """
# What jobs rarely need is taken from them. Remove a line where yours do; see `systemd-analyze security job-item`.
# Not set, since ordinary jobs would fail: PrivateDevices (GPUs), MemoryDenyWriteExecute (compilers at run time),
# RestrictNamespaces (containers without root), ProtectControlGroups (Delegate), ProtectSystem=strict (jobs that write
# to /srv or /mnt; with it, name what they may write in ReadWritePaths=).
UMask=0027
CapabilityBoundingSet=
ProtectSystem=full
ProtectHome=read-only
PrivateTmp=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
"""
_SYSTEM_PLACES = """# The state folder: the node uses it where the settings name none. `work` below it is for jobs.
StateDirectory=job_item job_item/work
StateDirectoryMode=0700
WorkingDirectory=/var/lib/job_item/work
"""
_USER_PLACES = """WorkingDirectory=%h
"""
_INSTALL = """
[Install]
WantedBy={target}
"""


def system_unit(program: Program, user: str = USER) -> str:
    """A unit for the whole machine, run as `user`."""
    service = _service(program, _SYSTEM_PLACES).replace("NotifyAccess=main\n", f"NotifyAccess=main\nUser={user}\n")
    return _SYSTEM_HEAD + service + _HARDENING + _INSTALL.format(target="multi-user.target")


def user_unit(program: Program) -> str:
    """A unit for one user's own service manager; what that could not do without more rights is left out."""
    return _USER_HEAD + _service(program, _USER_PLACES) + _INSTALL.format(target="default.target")


def _service(program: Program, places: str) -> str:
    return _SERVICE.format(command=_word(program.command), config=_word(program.config), places=places)


def _word(path: Path) -> str:
    """A path as one word of ExecStart=: `%` and `$` stand for themselves when doubled, blanks need quotes."""
    text = os.fspath(path).replace("\\", "\\\\").replace("%", "%%").replace("$", "$$").replace('"', '\\"')
    return f'"{text}"' if set(text) & set(" '\"\t") else text
