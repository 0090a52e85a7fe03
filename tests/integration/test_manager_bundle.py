"""A node that gets the certificates of its broker from the Job Manager, on each broker that speaks TLS."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.certificates import Certificates
from tests.brokers.manager import manager_of
from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.manager.standin import BUNDLE, registered, standing_in
from tests.nodes import running
from tests.unit.test_manager_bundle import packed

FILES = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}


def bundle_of(broker: dict[str, Any]) -> bytes:
    """The ZIP that belongs to the settings of a client."""
    return packed(*((name, Path(broker[key]).read_bytes()) for key, name in FILES.items() if broker.get(key)))


@pytest.mark.parametrize("stage", ["nats-tls", "redis-tls", "rabbitmq-tls"], indirect=True)
def test_a_node_gets_the_certificates_of_its_broker_once_and_again_when_asked(
    stage: Stage, certificates: Certificates, tmp_path: Path
) -> None:
    client = stage.settings()
    broker = client | {key: f"tls/{stage.kind}/{name}" for key, name in FILES.items() if client.get(key)}
    content = {"uuid": "P", "broker_connection": broker, "project": {"job_datas": [registered("hello")]}}
    jobs = [{"event": "hello", "cmd": "echo hello"}]
    with standing_in(content) as standin, manager_of(client) as trigger:
        standin.bundle = bundle_of(client)
        settings = standin.settings(jobs=jobs, execs=[{"key": "e", "cmd": "sleep 60"}], manager={"refresh": "1s"})
        with running(tmp_path / "node", settings) as node:
            assert trigger.await_said(trigger.trigger("hello")) == b"finish"
            eventually(lambda: standin.asked() >= 3, what="it was refreshed")
            assert standin.asked(BUNDLE) == 1
            around = node.state / "tls"
            files = [path for path in around.rglob("*") if path.is_file()]
            assert {path.name for path in files} == {name for key, name in FILES.items() if client.get(key)}
            assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
            assert not (node.folder / "tls").exists()
            pid = node.child_pid("worker")
            standin.bundle = packed(("ca.crt", certificates.ca.crt.read_bytes() + b"\n"), *_client(client))
            trigger.publish("P.restart", b"")
            eventually(lambda: node.child_pid("worker") != pid, within_s=30, what="new certificates are in use")
            node.await_ready()
            assert trigger.await_said(trigger.trigger("hello")) == b"finish"
            assert len(list(around.iterdir())) == 2


def _client(broker: dict[str, Any]) -> list[tuple[str, bytes]]:
    keys = ("cert_file", "key_file")
    return [(FILES[key], Path(broker[key]).read_bytes()) for key in keys if broker.get(key)]
