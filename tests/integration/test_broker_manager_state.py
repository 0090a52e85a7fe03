"""A node says how it stands with its Job Manager, the same everywhere; the certificates that he sends are used."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from supervisor.cli.status import look_at_node
from supervisor.client import Client
from supervisor.doctor import running as doctor
from supervisor.doctor.examine import case_of
from supervisor.doctor.line import Line
from supervisor.nodeview import node_view
from tests.brokers.certificates import Certificates
from tests.brokers.servers import Access, NatsServer
from tests.conftest import eventually
from tests.jobmanager import managing, node_settings
from tests.nodes import Node, running
from tests.unit.test_metrics import parse, value

SETTINGS = {"jobs": [{"event": "work", "cmd": "echo hi"}]}


def metric(node: Node, name: str, **labels: str) -> float | None:
    return value(parse(node.get("/metrics")[1].decode()), name, **labels)


def doctors_line(node: Node) -> Line:
    (line,) = (
        line for line in doctor.node(case_of(node.folder / "config.yaml", os.environ)) if line.check == "manager"
    )
    return line


def status(node: Node) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(node_view(look_at_node(Client(node.state))))
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]  # it is that file


def test_metrics_health_status_and_doctor_say_the_same_of_the_manager(
    nats: Callable[[], NatsServer], tmp_path: Path
) -> None:
    with (
        managing(tmp_path / "manager", nats().settings(), [{"event": "work"}]) as manager,
        running(tmp_path / "node", node_settings(manager, **SETTINGS) | {"manager": {"refresh": "1s"}}) as node,
    ):
        manager.await_status(manager.create("work"))
        eventually(lambda: metric(node, "job_item_outbox_said_total", kind="finish", outcome="taken") == 1, within_s=60)
        assert metric(node, "job_item_manager_up", manager=manager.url) == 1
        # What was taken is counted before it is struck out of the journal.
        eventually(lambda: sum(node.health()["outbox"]["waiting"].values()) == 0, within_s=60)
        assert doctors_line(node).verdict == "ok" and "1 events" in doctors_line(node).said
        assert f"{manager.url}, last answer" in status(node) and "unsent nothing" in status(node)
        before = node.health()["manager"]["answered_at"]
        eventually(lambda: node.health()["manager"]["answered_at"] > before, within_s=60, what="the answer is renewed")

        manager.kill()
        node.await_status(_ask(node))
        eventually(lambda: metric(node, "job_item_manager_up", manager=manager.url) == 0, within_s=60)
        age_s = metric(node, "job_item_manager_answer_age_seconds", manager=manager.url)
        assert age_s is not None and 0 < age_s < 300
        eventually(lambda: metric(node, "job_item_manager_answer_age_seconds", manager=manager.url) != age_s)
        assert metric(node, "job_item_outbox_waiting", kind="finish") == 1
        assert node.health()["outbox"]["waiting"]["finish"] == 1
        assert node.health()["manager"]["code"] == "ERR-MGR-001"
        assert (doctors_line(node).verdict, doctors_line(node).code) == ("warn", "ERR-MGR-008")
        assert "[ERR-MGR-001]" in status(node) and "1 finish" in status(node)
        assert node.get("/readyz")[0] == 200, "jobs are taken all the same"

        manager.start()
        eventually(lambda: metric(node, "job_item_manager_up", manager=manager.url) == 1, within_s=60)
        assert doctors_line(node).verdict == "ok"


def _ask(node: Node) -> str:
    """Start a job at the node itself; he who would hear of it is away."""
    status, answer = node.ask("POST", "/job/create", {"event": "work", "form_body": {}})
    assert status == 200, answer
    task_id: str = answer["task_id"]
    return task_id


def test_a_node_reaches_its_broker_with_the_certificates_that_the_manager_sends(
    nats: Callable[[Access], NatsServer], tmp_path: Path, certificates: Certificates
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    shutil.copy(certificates.ca.crt, bundle / "ca.crt")
    for suffix in ("crt", "key"):
        shutil.copy(getattr(certificates.client, suffix), bundle / f"client.{suffix}")
    named = {"ca_file": "tls/nats/ca.crt", "cert_file": "tls/nats/client.crt", "key_file": "tls/nats/client.key"}
    connection = nats("tls").settings() | named
    with (
        managing(tmp_path / "manager", connection, [{"event": "work"}], tls_bundle=str(bundle)) as manager,
        running(tmp_path / "node", node_settings(manager, **SETTINGS)) as node,
    ):
        assert manager.await_status(manager.create("work"))["status"] == "finish"
        (kept,) = (node.state / "tls").iterdir()
        modes = {file.name: file.stat().st_mode & 0o777 for file in kept.iterdir()}
        assert modes == dict.fromkeys(("ca.crt", "client.crt", "client.key"), 0o600)
