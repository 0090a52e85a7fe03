"""Where durable delivery ends: a server's own time-out, servers that cannot keep jobs, queues of another kind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import NodeError
from tests.brokers.certificates import Certificates
from tests.brokers.manager import manager_of
from tests.brokers.rabbitmq import RabbitmqServer
from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.journals import in_loop
from tests.nodes import running

TIMEOUT_S = 10.0
"""From half of it on a job is in the journal alone; so long a node may get no processor at that moment."""


@pytest.fixture
def impatient(tmp_path: Path, certificates: Certificates) -> Iterator[dict[str, Any]]:
    """The `broker_connection` of a RabbitMQ that closes the channel of whoever keeps a job for `TIMEOUT_S`."""
    server = RabbitmqServer(tmp_path / "rabbitmq", certificates, consumer_timeout_s=TIMEOUT_S)
    try:
        server.start()
        yield server.client_settings(is_tls=False) | {
            "delivery": "durable",
            "lease": TIMEOUT_S,
            "consumer_timeout": TIMEOUT_S,
        }
    finally:
        server.stop()


@pytest.mark.timeout(400)
def test_a_job_that_is_longer_than_the_time_out_of_its_server_finishes_once(
    impatient: dict[str, Any], tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    settings = {
        "credential": {"project_id": "P"},
        "broker_connection": impatient,
        "jobs": [
            {
                "event": "work",
                "cmd": f"echo $JOB_ITEM_ATTEMPT >> {ledger}; test $JOB_ITEM_ATTEMPT = 2 || sleep {TIMEOUT_S * 1.3}",
            }
        ],
    }
    with (
        manager_of(impatient) as manager,
        running(tmp_path / "one", settings) as one,
        running(tmp_path / "two", settings) as two,
    ):
        name = manager.trigger("work")
        assert manager.await_said(name, within_s=60) == b"finish"
        assert ledger.read_text().split() == ["1"]
        said = one.log.read_text() + two.log.read_text()
        assert said.count("ERR-DLV-003") == 1
        assert "broker.lost" not in said
        holder = one if "ERR-DLV-003" in one.log.read_text() else two
        second = manager.trigger("work")  # from half of the time-out on, only the journal has it
        eventually(lambda: (one.log.read_text() + two.log.read_text()).count("ERR-DLV-003") == 2, within_s=60)
        holder = one if one.get(f"/jobs/{second}")[0] == 200 and one.job(second)["status"] == "running" else two
        os.kill(holder.child_pid("worker"), signal.SIGKILL)
        assert manager.await_said(second, within_s=60) == b"finish"
        assert [attempt["attempt"] for attempt in holder.job(second)["attempts"]] == [1, 2]
        assert manager.said(second, "_finish") == [b"finish"]


@pytest.mark.parametrize("stage", ["nats-plain"], indirect=True)
@in_loop
async def test_a_server_without_jetstream_cannot_keep_jobs_and_says_so(stage: Stage) -> None:
    connection = await stage.broker(delivery="durable").connect()
    assert connection.queues is not None
    with pytest.raises(NodeError) as refused:
        await connection.queues.open("P.work", 1)
    assert refused.value.code == "ERR-DLV-005"
    await connection.probe(30)
    await connection.close()


@pytest.mark.parametrize("stage", ["rabbitmq-durable"], indirect=True)
@in_loop
async def test_a_queue_of_another_kind_is_refused_with_what_to_do(stage: Stage) -> None:
    compat = await stage.broker(delivery="compat").connect()
    durable = await stage.broker().connect()
    assert durable.queues is not None

    async def take(_: object) -> None:
        pass

    await compat.subscribe("P.mixed", None, take)
    with pytest.raises(NodeError) as refused:
        await durable.queues.open("P.mixed", 1)
    assert refused.value.code == "ERR-DLV-005"
    assert "delete the queue" in (refused.value.remedy or "")
    await durable.probe(30)
    await compat.close()
    await durable.close()
