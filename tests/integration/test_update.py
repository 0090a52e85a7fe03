"""A Job Manager that offers a newer worker: the node and the command line say so, and nothing is fetched or run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job_item import __version__
from tests.brokers.manager import Manager, manager_of
from tests.brokers.servers import Access, NatsServer
from tests.conftest import eventually, free_port
from tests.jobmanager import JobManager, node_settings
from tests.manager.standin import CONFIG, StandIn, registered, standing_in
from tests.nodes import Node, running
from tests.releases import build, releasing, runs
from tests.terminal import Shell

OFFER = {"job_item_version_number": 4, "job_item_version": "v0.2.0"}
UNKNOWN = {"offered": None, "channel": None, "last": None}
SENTENCE = "The Job Manager offers version 4 (v0.2.0) of the worker; this one counts as version 3."


def content(server: NatsServer, **more: Any) -> dict[str, Any]:
    broker = {"key": "main", "name": "main", "auth_type": "none", **server.settings()}
    return {"uuid": "U", "broker_connection": broker, "project": {"job_datas": [registered("hello")]}, **more}


def warned(node: Node) -> list[dict[str, Any]]:
    """The lines of the log about an offer."""
    return [json.loads(line) for line in node.log.read_text().splitlines() if '"update.offered"' in line]


def reports(ear: Manager) -> list[dict[str, Any]]:
    """What the reports on versions say."""
    return [json.loads(body)["data"] for body in ear.said("listen", "_version_information")]


def test_a_newer_version_is_told_of_everywhere_and_nothing_is_fetched(
    nats: Callable[[Access], NatsServer], tmp_path: Path
) -> None:
    server = nats("plain")
    shell = Shell(tmp_path)
    with standing_in(content(server)) as manager, manager_of(server.settings()) as ear:
        link = f"{manager.url}/binary"
        ear.listen("listen", "_version_information")
        settings = manager.settings(jobs=[{"event": "hello", "cmd": "true"}], manager={"refresh": "1s"})
        with running(tmp_path, settings) as node:
            first = json.loads(ear.await_said("listen", "_version_information"))
            assert first["project_data_uuid"] == "U"
            assert first["data"] == {**UNKNOWN, "version": __version__, "number": 3}
            assert node.health()["update"] is None and warned(node) == []
            pids = [node.pid, node.child_pid("worker")]
            manager.content |= {**OFFER, "job_item_link": f"{link}?token=hush"}
            update = eventually(lambda: node.health()["update"], what="the offer is known")
            assert update == {**update, "number": 4, "version": "v0.2.0", "link": link, "code": "ERR-UPD-002"}
            assert update["notice"] == SENTENCE
            asked = manager.asked()
            eventually(lambda: manager.asked() > asked + 1, what="it was asked again")
            (line,) = warned(node)
            assert (line["level"], line["code"], line["reason"], line["link"]) == (
                "warning", "ERR-UPD-002", SENTENCE, link,
            )  # fmt: skip
            with shell.on_terminal("status") as status:
                status.sees(out=SENTENCE.removesuffix("."))
            assert [node.pid, node.child_pid("worker")] == pids, "nothing restarts for it"
            assert "hush" not in node.log.read_text()
        with running(tmp_path, settings) as node:  # at the start of the next life
            eventually(lambda: warned(node)[1:], what="it is said again")
            assert node.health()["update"]["number"] == 4
            offered = {"number": 4, "version": "v0.2.0"}
            eventually(lambda: offered in [report["offered"] for report in reports(ear)], what="it is reported")
        assert {question.path for question in manager.questions} == {CONFIG}
        assert not list(tmp_path.glob("job_item_*"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def configure(shell: Shell, manager: StandIn | JobManager) -> None:
    settings = node_settings(manager) if isinstance(manager, JobManager) else manager.settings()
    shell.config.write_text(json.dumps(settings))


def test_update_check_asks_the_manager_and_downloads_nothing(shell: Shell) -> None:
    with standing_in({**OFFER, "job_item_link": "https://manager.example/worker"}) as manager:
        configure(shell, manager)
        offered = {"number": 4, "version": "v0.2.0", "link": "https://manager.example/worker"}
        ended = shell.run("update", "--check")
        assert (ended.code, ended.json) == (0, {"version": __version__, "number": 3, "offered": offered})
        with shell.on_terminal("update", "--check") as command:
            command.sees(out=f"{SENTENCE} [ERR-UPD-002]")
            command.sees(out="It lies at https://manager.example/worker; nothing was downloaded.")
        assert [question.path for question in manager.questions] == [CONFIG] * 2
        assert [path.name for path in shell.folder.iterdir()] == ["config.yaml"]
        manager.secret = "another"
        ended = shell.run("update", "--check")
        assert ended.code == 1 and "ERR-MGR-002" in ended.err
    ended = shell.run("update", "--check")
    assert ended.code == 69 and "ERR-MGR-001" in ended.err


def test_the_example_manager_offers_nothing_newer(shell: Shell, tmp_path: Path) -> None:
    nobody = {"type": "redis", "key": "main", "name": "main", "host": "127.0.0.1", "port": free_port(), "db": 0}
    manager = JobManager(tmp_path / "manager", nobody, [{"event": "hello"}])
    try:
        manager.start(connected=False)
        configure(shell, manager)
        with shell.on_terminal("update", "--check") as command:
            command.sees(out=f"job_item {__version__} will do")
        assert shell.run("update", "--check").json["offered"] is None
    finally:
        manager.kill()


def test_update_explains_itself_without_a_manager_and_without_check(shell: Shell) -> None:
    ended = shell.run("update", "--check")
    assert ended.code == 1
    assert "no Job Manager" in ended.err and "[ERR-UPD-003]" in ended.err
    ended = shell.run("update")
    assert ended.code == 1
    assert "[ERR-UPD-001]" in ended.err and "update --check" in ended.err


@pytest.mark.timeout(900)
def test_what_the_manager_offers_is_taken_where_it_is_signed_and_the_node_is_among_those_that_take_it(
    nats: Callable[[Access], NatsServer], tmp_path: Path
) -> None:
    server, releases, forgeries = nats("plain"), tmp_path / "releases", tmp_path / "forgeries"
    with standing_in(content(server)) as manager, releasing(releases) as maker, releasing(forgeries) as forger:
        forged = forger.sign(build(forgeries / "job_item.pyz", "9.0"), "9.0")
        told = {"jobs": [{"event": "hello", "cmd": "true"}], "manager": {"refresh": "1s"}}
        update = {"public_key": maker.public_key, "watch": 1, "ready": 180}
        with running(tmp_path / "node", manager.settings(**told, update={**update, "canary": 0})) as node:
            job, pid, port = submit(node), node.pid, node.port
            manager.content |= {**OFFER, "job_item_link": forged}
            eventually(lambda: [line["code"] for line in refused(node)] == ["ERR-REL-003"], within_s=60, what="refused")
            manager.content |= {"job_item_link": f"{maker.release('9.0')}?token=hush"}
            eventually(lambda: len(refused(node)) == 2, within_s=60, what="others take it")
            assert (refused(node)[1]["code"], refused(node)[1]["version"]) == ("ERR-REL-007", "9.0")
            assert not (node.state / "versions").exists()
            node.configure(manager.settings(**told, update=update))
            eventually(lambda: runs(node, "9.0"), within_s=180, what=node.log.read_text()[-2000:])
            eventually(lambda: node.health()["versions"]["last"]["result"] == "confirmed", within_s=180, what="kept")
            assert (node.pid, node.port) == (pid, port)
            assert node.health()["versions"]["channel"] == "stable"
            assert node.await_status(job)["status"] == "finish"
            assert node.await_status(submit(node))["status"] == "finish"
            eventually(lambda: refused(node)[2:], within_s=60, what="it has looked at what it runs already")
            assert refused(node)[2]["code"] == "ERR-REL-005"
            assert "hush" not in node.log.read_text()
            assert node.stop() == 0


def submit(node: Node) -> str:
    """Create a job of the project."""
    status, answer = node.ask("POST", "/job/create", {"event": "hello", "form_body": {}})
    assert status == 200, answer
    return str(answer["task_id"])


def refused(node: Node) -> list[dict[str, Any]]:
    """The lines of the log about releases that were offered and not taken."""
    return [json.loads(line) for line in node.log.read_text().splitlines() if '"update.refused"' in line]
