"""Server processes: nats-server and redis-server, one for each test that wants one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.brokers.certificates import Certificates
from tests.conftest import ROOT, eventually, free_port

Access = Literal["plain", "password", "token", "tls", "durable"]
"""How a server lets clients in; `tls` wants a client certificate, and a password too where the server knows both, and
`durable` lets everybody in and keeps on its disk what clients with `delivery: durable` need."""

LEASE_S = 2.0
"""How long jobs are lent without a sign of life, in tests."""
USER, PASSWORD, TOKEN = "worker", "p@ss/w:rd #1 ü", "t0ken-of-tests"


def find(program: str, *places: str) -> str:
    """The path of a server's program. Without it the test is skipped, and under CI it fails."""
    search = os.pathsep.join((*places, os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(program, path=search)
    if found is None:
        command = subprocess.run(
            ["sh", str(ROOT / "tools/servers"), "check"], capture_output=True, text=True, check=False
        )
        reason = f"{program} is not installed; run: {command.stdout.strip() or 'tools/servers'}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Server(ABC):
    """A process that is ended by its pid. `port` stays the same over restarts."""

    kind: str
    """As `type` of a broker_connection."""

    def __init__(self, folder: Path, access: Access, certificates: Certificates) -> None:
        self.folder = folder
        self.access = access
        self.certificates = certificates
        self.port = free_port()
        self.log = folder / "server.log"
        self.told_before_bytes = 0
        """How much of its log is of the processes before."""
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """What is run."""

    def environment(self) -> Mapping[str, str]:
        """Its environment."""
        return os.environ

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self, within_s: float = 60.0) -> None:
        """Start it and wait until it takes connections."""
        with self.log.open("ab") as log:
            self.told_before_bytes = log.tell()
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.fail(f"{self.kind} ended: {self.log.read_text(errors='replace')[-2000:]}")
            return self.is_ready()

        eventually(ready, within_s=within_s, what=f"{self.kind} takes connections")

    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP and SIGCONT let it hang for a while."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End it in order, or else at once."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
            self.process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def settings(self) -> dict[str, Any]:
        """The `broker_connection` of a client."""
        found: dict[str, Any] = {"type": self.kind, "host": "127.0.0.1", "port": self.port}
        if self.access == "tls":
            found |= {
                "secure": True,
                "ca_file": str(self.certificates.ca.crt),
                "cert_file": str(self.certificates.client.crt),
                "key_file": str(self.certificates.client.key),
            }
        if self.access == "durable":
            found |= {"delivery": "durable", "lease": LEASE_S}
        return found


class NatsServer(Server):
    """nats-server."""

    kind = "nats"
    max_payload = 1 << 20
    server_pair = "server"

    def command(self) -> list[str]:
        lines = [f"listen: 127.0.0.1:{self.port}", f"max_payload: {self.max_payload}"]
        if self.access == "password":
            lines.append(f'authorization {{ user: "{USER}", password: "{PASSWORD}" }}')
        if self.access == "token":
            lines.append(f'authorization {{ token: "{TOKEN}" }}')
        if self.access == "tls":
            pair = getattr(self.certificates, self.server_pair)
            ca = self.certificates.ca.crt
            lines.append(f'tls {{ cert_file: "{pair.crt}", key_file: "{pair.key}", ca_file: "{ca}", verify: true }}')
        if self.access == "durable":
            lines.append(f'jetstream {{ store_dir: "{self.folder / "jetstream"}" }}')
        file = self.folder / "nats.conf"
        file.write_text("\n".join([*lines, *self.more()]))
        return [find("nats-server"), "-c", str(file)]

    def more(self) -> list[str]:
        """Further lines of the configuration."""
        return []

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                return client.recv(5) == b"INFO "
        except OSError:
            return False

    def settings(self) -> dict[str, Any]:
        found = super().settings()
        if self.access == "password":
            found |= {"user": USER, "password": PASSWORD}
        if self.access == "token":
            found |= {"auth_type": "token", "token": TOKEN}
        return found


class RedisServer(Server):
    """redis-server; `tls` has a user of its own too."""

    kind = "redis"
    server_pair = "server"
    fsync = "always"
    """When a durable one writes to its disk. With `everysec`, its default, it answers before it has handed over what
    comes while it syncs, and a kill loses that."""

    def command(self) -> list[str]:
        command = [find("redis-server"), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        command += ["--appendonly", "yes" if self.access == "durable" else "no", "--daemonize", "no"]
        command += ["--appendfsync", self.fsync]
        if self.access == "tls":
            pair = getattr(self.certificates, self.server_pair)
            command += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "yes"]
            command += ["--tls-cert-file", str(pair.crt), "--tls-key-file", str(pair.key)]
            command += ["--tls-ca-cert-file", str(self.certificates.ca.crt)]
        else:
            command += ["--port", str(self.port)]
        if self.access == "password":
            command += ["--requirepass", PASSWORD]
        if self.access == "tls":
            acl = self.folder / "users.acl"
            secret = PASSWORD.replace(" ", "_")
            acl.write_text(f"user default off\nuser {USER} on >{secret} ~* &* +@all\n")
            command += ["--aclfile", str(acl)]
        return command

    def is_ready(self) -> bool:
        return super().is_ready() and b"Ready to accept connections" in self.log.read_bytes()[self.told_before_bytes :]

    def settings(self) -> dict[str, Any]:
        found = super().settings()
        if self.access == "password":
            found |= {"password": PASSWORD, "db": "3"}
        if self.access == "tls":
            found |= {"user": USER, "password": PASSWORD.replace(" ", "_"), "db": 2}
        return found


HANG, GO_ON = signal.SIGSTOP, signal.SIGCONT


def redis_says(port: int, *command: str) -> bytes:
    """One command to a redis-server, by hand."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"".join([b"*%d\r\n" % len(command), *(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in command)])
        )
        return client.recv(65536)
