"""The rabbitmq-server of a test session: as it takes seconds to start there is one, with virtual hosts for tests."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiormq
import pytest
from yarl import URL

from tests.brokers.certificates import Certificates
from tests.brokers.servers import PASSWORD, USER, Server, find
from tests.conftest import ROOT, eventually, free_port

VIRTUAL_HOSTS = 12
USER_OF_MANUAL = "user-of-manual"
"""May do on the virtual host `/` what docs/brokers.md says that a user of durable delivery needs."""


class RabbitmqServer(Server):
    """rabbitmq-server with a plain listener and one for TLS with client certificates.

    It has its own epmd, which we start ourselves, as the one that it would start stays behind.
    """

    kind = "rabbitmq"

    def __init__(self, folder: Path, certificates: Certificates, *, consumer_timeout_s: float | None = None) -> None:
        super().__init__(folder, "password", certificates)
        self._consumer_timeout_s = consumer_timeout_s
        self.tls_port = free_port()
        self._epmd_port = free_port()
        self._dist_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._turn = itertools.count()
        self._strays: set[Path] = set()
        self._write_settings()

    def _write_settings(self) -> None:
        hosts = ["/", *(f"test-{number}" for number in range(VIRTUAL_HOSTS))]
        probes = r"^job_item\.probe\..*"
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [
                {"name": USER, "password": PASSWORD, "tags": "administrator"},
                {"name": "guest-of-few", "password": PASSWORD, "tags": ""},
                {"name": USER_OF_MANUAL, "password": PASSWORD, "tags": ""},
            ],
            "vhosts": [{"name": host} for host in hosts],
            "permissions": [
                *({"user": USER, "vhost": host, **everything} for host in hosts),
                {
                    "user": "guest-of-few",
                    "vhost": "/",
                    "configure": probes,
                    "write": ".*",
                    "read": ".*",
                },
                {"user": USER_OF_MANUAL, "vhost": "/", **_permissions_of_manual()},
            ],
        }
        (self.folder / "definitions.json").write_text(json.dumps(definitions))
        pair = self.certificates.server
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
            f"ssl_options.cacertfile = {self.certificates.ca.crt}",
            f"ssl_options.certfile = {pair.crt}",
            f"ssl_options.keyfile = {pair.key}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
            f"load_definitions = {self.folder / 'definitions.json'}",
            "vm_memory_high_watermark.absolute = 1GB",
            "disk_free_limit.absolute = 1MB",
        ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        if self._consumer_timeout_s is not None:  # looked at with each tick of a channel, a minute by default
            timeout_ms = int(self._consumer_timeout_s * 1000)
            rules = f"{{consumer_timeout, {timeout_ms}}}, {{channel_tick_interval, 500}}"
            (self.folder / "advanced.config").write_text(f"[{{rabbit, [{rules}]}}].\n")
        (self.folder / "enabled_plugins").write_text("[].\n")

    def command(self) -> list[str]:
        return [find("rabbitmq-server", "/usr/lib/rabbitmq/bin")]

    def environment(self) -> Mapping[str, str]:
        kernel = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "server.pid"),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{kernel} +S 2:2 +sbwt none",
        }

    def start(self, within_s: float = 180.0) -> None:
        if self._epmd is None or self._epmd.poll() is not None:
            command = [find("epmd"), "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.log.write_bytes(b"")
        super().start(within_s)
        self._strays = self._unnamed()

    def is_ready(self) -> bool:
        """Whether it has started, with both its listeners: one that finds its port taken is only logged."""
        log = self.log.read_text(errors="replace")
        if "Failed to start" in log:
            pytest.fail(f"{self.kind} has no listener: {log[-2000:]}")
        return "Server startup complete" in log and super().is_ready()

    def signal(self, number: int) -> None:
        """Send it to all processes of the server: the beam is not the one that we started."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """As in a crash, but not in the second in which a quorum queue is made.

        3.10 writes the names of its queues' Raft servers half a second late. A queue that it has forgotten is made anew
        at the next start, empty, and never finds a leader.
        """
        if self.process is not None:
            eventually(lambda: self._unnamed() <= self._strays, within_s=40, what="the server has noted its queues")
        self._end()

    def _unnamed(self) -> set[Path]:
        """The folders of quorum queues that the server would not know again."""
        return {
            folder
            for names in (self.folder / "mnesia").glob("*/quorum/*/names.dets")
            for folder in names.parent.iterdir()
            if folder.is_dir() and folder.name.encode() not in names.read_bytes()
        }

    def _end(self) -> None:
        """End it at once; what the script started ends with the beam, or is in its process group."""
        if self.process is None:
            return
        group = self.process.pid
        with suppress(ProcessLookupError):  # a test that sweeps everything below itself has met it
            os.killpg(group, 9)
        self.process.wait()
        self.process = None

        def is_gone() -> bool:
            with suppress(ChildProcessError):  # some tests make this process the one that inherits orphans
                os.waitpid(-group, os.WNOHANG)
            try:
                os.killpg(group, 9)
            except ProcessLookupError:
                return True
            return False

        eventually(is_gone, within_s=40, what="all processes of the server are gone")

    def stop(self) -> None:
        """There is nothing on its disk that anybody wants."""
        self._end()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def client_settings(self, *, is_tls: bool) -> dict[str, Any]:
        """The `broker_connection` of a client, with the next virtual host."""
        self.access = "tls" if is_tls else "password"
        found = super().settings() | {"user": USER, "password": PASSWORD}
        found["virtual_host"] = f"test-{next(self._turn) % VIRTUAL_HOSTS}"
        found["port"] = self.tls_port if is_tls else self.port
        return found


LASTING = ("P.work", "job_item.dead.P")
"""The queues of tests that outlive who made them: those of event `work` of project P, and its dead letters."""


async def channel_of(settings: dict[str, Any]) -> Any:
    """A connection of somebody else with these settings, for instance of a manager, and a channel of it."""
    url = URL.build(scheme="amqp", host="127.0.0.1", port=settings["port"], path=f"/{settings['virtual_host']}")
    connection = await aiormq.connect(url.with_user(USER).with_password(PASSWORD))
    return connection, await connection.channel()


def forget_jobs(settings: dict[str, Any]) -> None:
    """Leave nothing that an earlier test has put into a virtual host; there are fewer of these than tests."""

    async def scene() -> None:
        connection, channel = await channel_of(settings)
        for queue in LASTING:
            await channel.queue_delete(queue)
        await connection.close()

    asyncio.run(scene())


def _permissions_of_manual() -> dict[str, str]:
    lines = (ROOT / "docs" / "brokers.md").read_text().splitlines()
    (command,) = (line for line in lines if line.startswith("rabbitmqctl set_permissions"))
    return dict(zip(("configure", "write", "read"), shlex.split(command)[3:], strict=True))
