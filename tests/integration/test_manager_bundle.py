"""A node that gets the certificates of its broker from the Job Manager, on each broker that speaks TLS.

What is no proper bundle is refused; while that is tried, a job for which the manager asks no end comes to its time-out.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from job_item.manager.bundle import ENTRIES_MAX
from tests.brokers.certificates import Certificates
from tests.brokers.manager import manager_of
from tests.brokers.servers import Access, NatsServer
from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.manager.standin import BUNDLE, nested, registered, standing_in
from tests.nodes import Node, running
from tests.unit.test_manager_bundle import LINK, packed
from worker.standing import BACKSTOP_S

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
            eventually(lambda: node.child_pid("worker") != pid, within_s=60, what="new certificates are in use")
            node.await_ready()
            assert trigger.await_said(trigger.trigger("hello")) == b"finish"
            assert len(list(around.iterdir())) == 2


def _client(broker: dict[str, Any]) -> list[tuple[str, bytes]]:
    keys = ("cert_file", "key_file")
    return [(FILES[key], Path(broker[key]).read_bytes()) for key in keys if broker.get(key)]


STRANGE = {
    "outside": (packed(("ca.crt", b"CA"), ("../../evil", b"evil")), "'../../evil' is not allowed"),
    "absolute": (packed(("/tmp/evil-of-a-bundle", b"evil")), "'/tmp/evil-of-a-bundle' is not allowed"),
    "link": (packed(("ca.crt", b"/etc/passwd"), kind=LINK), "neither a file nor a folder"),
    "size of one": (packed(("ca.crt", os.urandom((1 << 20) + 1))), "is larger than 1 MiB"),
    "size in all": (packed(*((f"f{n}", os.urandom(1 << 14) * 64) for n in range(5))), "unpacks to more than 4 MiB"),
    "size on the way": (packed(*((f"f{n}", os.urandom(1 << 20)) for n in range(2))), "more than 2 MiB"),
    "count": (packed(*((f"f{n}", b"") for n in range(ENTRIES_MAX + 1))), "entries, more than"),
    "ratio": (packed(("ca.crt", bytes(1 << 19))), "times its size"),
}
"""Bundles that nobody should send, and what is said of them."""


def test_a_node_refuses_a_bundle_without_measure_and_goes_on_with_what_it_has_and_ends_jobs_that_nobody_ends(
    nats: Callable[[Access], NatsServer], tmp_path: Path
) -> None:
    client = nats("tls").settings()
    broker = client | {key: f"tls/nats/{name}" for key, name in FILES.items()}
    content = {
        "uuid": "P",
        "broker_connection": broker,
        "project": {"job_datas": [registered("parent", 0, 0, nested("endless", 1, "1"))]},
    }
    jobs = [{"event": "parent.endless", "cmd": "sleep 600"}]
    with standing_in(content) as standin, manager_of(client) as trigger:
        standin.bundle, _ = STRANGE["outside"]
        node = Node(tmp_path / "node", standin.settings(jobs=jobs))
        try:
            node.start(ready=False)
            eventually(lambda: "ERR-MGR-005" in node.log.read_text(), within_s=60, what="it waits for another bundle")
            standin.bundle = bundle_of(client)
            node.await_ready()
            first, second = trigger.trigger("parent.endless"), trigger.trigger("parent.endless")
            begun_s = time.monotonic()
            trigger.await_said(first, "_who")
            before = traces_in(tmp_path)
            for name, (standin.bundle, words) in STRANGE.items():
                assert node.ask("POST", "/reload")[0] == 200, name
                eventually(partial(is_refused, node, words), within_s=60, what=f"{name}: {node.health()['manager']}")
            assert traces_in(tmp_path) == before, "nothing is left of them, in no place"
            assert not Path("/tmp/evil-of-a-bundle").exists()
            # He asks for no end himself, so the node has ended it some time after he should have.
            assert trigger.await_said(first, within_s=120) == b"timeout"
            assert time.monotonic() - begun_s > BACKSTOP_S
            trigger.await_said(second, "_who")
            (ended,), (begun,) = (node.job(name)["attempts"] for name in (first, second))
            assert ended["finished_at"] <= begun["started_at"], "the manager's limit is one at a time"
        finally:
            node.destroy()


def is_refused(node: Node, words: str) -> bool:
    """Whether the node has refused a bundle for the reason that has these words."""
    state = node.health()["manager"]
    return state["code"] in ("ERR-MGR-003", "ERR-MGR-005") and words in state["reason"]


def traces_in(folder: Path) -> set[Path]:
    """Certificates, and what tried to get out of their folder."""
    return {path for path in folder.rglob("*") if "tls" in path.parts or "evil" in path.name}
