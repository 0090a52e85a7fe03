"""Users who may do what docs/brokers.md says that durable delivery needs, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import NodeError, Unavailable
from tests.brokers.manager import manager_of
from tests.brokers.rabbitmq import USER_OF_MANUAL, RabbitmqServer
from tests.brokers.servers import PASSWORD, Access, NatsServer, RedisServer, redis_says
from tests.brokers.stages import Stage
from tests.conftest import ROOT, eventually
from tests.nodes import Node, running

SOON_S = 60.0
TERM_S = 8.0
MANUAL = (ROOT / "docs" / "brokers.md").read_text()
MANAGER = "manager"

Few = tuple[dict[str, Any], dict[str, Any]]
"""Settings of a node whose user is that of the manual, and of somebody who may do everything."""


@pytest.fixture(params=["nats", "redis", "rabbitmq"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Few:
    """A server of each kind with that user."""
    server = request.getfixturevalue(request.param)
    match request.param:
        case "nats":
            return _nats(server, monkeypatch)
        case "redis":
            return _redis(server)
        case _:
            return _rabbitmq(server)


def _nats(start: Callable[[Access], NatsServer], monkeypatch: pytest.MonkeyPatch) -> Few:
    found = re.search(r"^permissions: \{.*?^\}$", MANUAL, re.DOTALL | re.MULTILINE)
    assert found is not None
    users = f"{{ user: worker, password: pw, {found[0]} }}, {{ user: {MANAGER}, password: pw }}"
    monkeypatch.setattr(NatsServer, "more", lambda _: [f"authorization {{ users: [ {users} ] }}"])
    everybody = start("durable").settings()
    return everybody | {"user": "worker", "password": "pw"}, everybody | {"user": MANAGER, "password": "pw"}


def _redis(start: Callable[[Access], RedisServer]) -> Few:
    everybody = start("durable").settings()
    *_, line = (line for line in MANUAL.splitlines() if line.startswith("user worker on"))
    assert "xreadgroup" in line
    assert redis_says(everybody["port"], "ACL", "SETUSER", *line.split()[1:]) == b"+OK\r\n"
    return everybody | {"user": "worker", "password": "secret"}, everybody


def _rabbitmq(server: RabbitmqServer) -> Few:
    everybody = Stage("rabbitmq-durable", server).settings() | {"virtual_host": "/"}
    return everybody | {"user": USER_OF_MANUAL, "password": PASSWORD}, everybody


def submit(node: Node, event: str, task_id: str) -> str:
    """Ask the node for a job of its project."""
    status, answer = node.ask("POST", "/job/create", {"event": event, "form_body": {}, "task_id": task_id})
    assert status == 200, answer
    return task_id


def test_a_user_with_the_permissions_of_the_manual_may_do_all_that_a_node_does(few: Few, tmp_path: Path) -> None:
    wanted = {
        "credential": {"project_id": "P"},
        "broker_connection": few[0] | {"lease": TERM_S},
        "jobs": [
            {"event": "long", "cmd": f"sleep {TERM_S * 1.25}"},
            {"event": "flaky", "cmd": "test -e mended", "retries": {"attempts": 2, "backoff": 0.05}},
            {"event": "later", "cmd": "test -e mended", "retries": {"attempts": 2, "backoff": 600}},
        ],
    }
    with manager_of(few[1]) as manager, running(tmp_path, wanted) as node:
        names = [manager.trigger("long", task_id="T1"), submit(node, "long", "T2")]
        letter = submit(node, "flaky", "T3")
        for name in names:
            assert node.await_status(name, within_s=SOON_S)["status"] == "finish"
        assert manager.await_said("T1", within_s=SOON_S) == b"finish"
        assert node.await_status(letter, within_s=SOON_S)["status"] == "error"
        found = eventually(lambda: node.get("/dead")[1]["dead"], within_s=SOON_S, what="the dead letter")
        assert [one["task_id"] for one in found] == [letter]
        (tmp_path / "mended").touch()
        assert node.ask("POST", f"/dead/{letter}/retry")[0] == 200
        node.await_status(letter, "finish", within_s=SOON_S)
        assert node.get("/dead")[1]["dead"] == []
        (tmp_path / "mended").unlink()
        waits = submit(node, "later", "T4")
        eventually(lambda: node.job(waits)["attempts"], within_s=SOON_S, what="the first attempt has failed")
        assert node.stop() == 0  # which gives back what waits
        (tmp_path / "mended").touch()
        node.start()
        assert node.await_status(waits, within_s=SOON_S)["status"] == "finish"
        said = node.log.read_text()
        assert '"job.given_back"' in said
        for code in ("ERR-BRK-003", "ERR-BRK-009", "ERR-DLV-005", "ERR-BRK-002"):
            assert code not in said, said


def test_a_nats_user_who_may_not_have_queues_is_told_so(
    nats: Callable[[Access], NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = 'user: few, password: pw, permissions: { publish: ["P.>", "_INBOX.>"] }'
    monkeypatch.setattr(NatsServer, "more", lambda _: [f"authorization {{ users: [ {{ {user} }} ] }}"])
    is_refused(Stage("nats-durable", nats("durable")), "ERR-BRK-009", user="few", password="pw")


def test_a_redis_user_who_may_not_have_queues_is_told_so(redis: Callable[[Access], RedisServer]) -> None:
    stage = Stage("redis-durable", redis("durable"))
    line = next(line for line in MANUAL.splitlines() if line.startswith("user worker on"))  # that of the compat mode
    assert redis_says(stage.settings()["port"], "ACL", "SETUSER", *line.split()[1:]) == b"+OK\r\n"
    is_refused(stage, "ERR-BRK-003", user="worker", password="secret")


@pytest.mark.parametrize("stage", ["rabbitmq-durable"], indirect=True)
def test_a_rabbitmq_user_who_may_not_have_queues_is_told_so(stage: Stage) -> None:
    is_refused(stage, "ERR-BRK-003", user="guest-of-few", virtual_host="/")


def is_refused(stage: Stage, code: str, **user: Any) -> None:
    """A queue is refused within the time that a server takes, and the connection stands."""

    async def scene() -> None:
        here = await stage.broker(**user).connect()
        assert here.queues is not None
        with pytest.raises(NodeError) as refused:
            async with asyncio.timeout(60):
                await here.queues.open("P.refused", 1)
        assert refused.value.code == code
        assert not isinstance(refused.value, Unavailable)
        await here.probe(30)
        await here.close()

    asyncio.run(scene())
