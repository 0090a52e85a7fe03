"""A service manager for tests that does what a unit of systemd says, as far as a test may: no user, no sandbox."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.services import ServiceManager

Unit = dict[str, dict[str, str]]

_BOOLEAN = r"yes|no"
_NUMBERS = r"\d+( \d+)*"
DIRECTIVES = {
    "Unit": {"Description": r".+", "Wants": r"\S+\.target", "After": r"\S+\.target"},
    "Install": {"WantedBy": r"(multi-user|default)\.target"},
    "Service": {
        **{"Type": "notify", "NotifyAccess": "main", "KillMode": "mixed", "Restart": "on-failure"},
        **{"ExecStart": r'("/[^"]+"|/\S+)( \S+)*', "ExecReload": r"/\S+( \S+)*", "User": r"[a-z_]+"},
        **{"StateDirectory": r"[^/]\S*( \S+)*", "StateDirectoryMode": r"0[0-7]{3}", "UMask": r"0[0-7]{3}"},
        **{"WorkingDirectory": r"/\S+|%h", "OOMPolicy": "continue", "LimitNOFILE": r"\d+"},
        **dict.fromkeys(["WatchdogSec", "RestartSec", "TimeoutStartSec", "TimeoutStopSec"], r"\d+"),
        "RestartPreventExitStatus": _NUMBERS,
        **{"CapabilityBoundingSet": "", "ProtectSystem": "full", "ProtectHome": "read-only"},
        **dict.fromkeys(["Delegate", "NoNewPrivileges", "PrivateTmp", "LockPersonality"], _BOOLEAN),
        **dict.fromkeys(["ProtectClock", "ProtectHostname", "RestrictRealtime", "RestrictSUIDSGID"], _BOOLEAN),
        **dict.fromkeys(["ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"], _BOOLEAN),
        **{"RestrictAddressFamilies": r"AF_[A-Z0-9]+( AF_[A-Z0-9]+)*", "SystemCallArchitectures": "native"},
        **{"SystemCallFilter": r"~@[a-z-]+( @[a-z-]+)*", "SystemCallErrorNumber": "EPERM"},
    },
}
"""What may stand in our units and how, by systemd.service(5), systemd.exec(5), systemd.kill(5) and
systemd.resource-control(5)."""


def read_unit(text: str) -> Unit:
    """The sections of a unit. A line that is none, a directive that is unknown or said twice fails the test."""
    unit: Unit = {}
    section = ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            unit[section] = {}
            continue
        name, is_said, value = line.partition("=")
        assert is_said and name in DIRECTIVES[section], line
        assert re.fullmatch(DIRECTIVES[section][name], value), line
        assert name not in unit[section], f"{line}: twice"
        unit[section][name] = value
    return unit


class Supervised:
    """A service that is started and started again as its unit says, in a folder that stands for the home.

    `started` is told each main process.
    """

    def __init__(
        self,
        unit: Unit,
        home: Path,
        manager: ServiceManager,
        environ: dict[str, str],
        started: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._started = started
        self._service = unit["Service"]
        self._cwd = self._service["WorkingDirectory"].replace("%h", str(home))
        self._environ = {"HOME": str(home), **environ, **manager.environ(float(self._service["WatchdogSec"]))}
        self._manager = manager
        self.log = home / "service.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        heard = len(self._manager.lines())
        self._start()
        self._manager.await_line("READY=1", after=heard, within_s=60)

    def _start(self) -> None:
        self.starts += 1
        command = shlex.split(self._service["ExecStart"].replace("%%", "%").replace("$$", "$"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self._cwd,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started(self.process.pid)

    def attend(self, within_s: float | None = 60) -> bool:
        """Wait until it ends and do what `Restart=on-failure` says; returns whether it was started again."""
        assert self.process is not None
        code = self.process.wait(within_s)
        prevented = {int(word) for word in self._service["RestartPreventExitStatus"].split()}
        if code == 0 or code in prevented:
            return False
        self.start()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> int:
        """`KillMode=mixed`: TERM to the main process, then its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(float(self._service["TimeoutStopSec"]))

    def destroy(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
