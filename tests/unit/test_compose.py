"""`deploy/compose.yaml` starts servers that the examples and the documentation speak of, for this machine only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.job_manager.settings import load as load_manager
from job_item.connections import RabbitmqConnection
from job_item.load import load
from job_item.storage.keys import keys_for
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
OURS = ("manager", "node")
SERVICES: dict[str, dict[str, Any]] = {name: told for name, told in COMPOSE["services"].items() if name not in OURS}
BROKERS = ("nats", "rabbitmq", "redis")


def port_of(service: str) -> int:
    """The one port that a service has on this machine."""
    (published,) = SERVICES[service]["ports"]
    found = re.fullmatch(r"127\.0\.0\.1:(\d+):(\d+)", published)
    assert found is not None, f"{published} is open to others"
    return int(found[1])


def default_of(value: str) -> str:
    """What `${NAME:-default}` gives where nothing is set."""
    return re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value)


def test_there_is_a_server_for_each_broker_and_one_for_files() -> None:
    assert set(SERVICES) == {*BROKERS, "minio"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_server_is_reached_from_this_machine_only(service: str) -> None:
    assert port_of(service)
    assert "network_mode" not in SERVICES[service]
    assert SERVICES[service]["networks"] == [service]
    assert service in COMPOSE["networks"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_server_gets_no_more_rights_than_it_needs(service: str) -> None:
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "volumes", "pid", "devices"} & set(SERVICES[service])


@pytest.mark.parametrize("service", SERVICES)
def test_a_server_says_when_it_is_ready(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_named_with_its_version(service: str) -> None:
    assert re.search(r":(\d|RELEASE\.\d{4})", SERVICES[service]["image"])


@pytest.mark.parametrize("broker", BROKERS)
def test_the_example_of_a_broker_finds_its_server(broker: str) -> None:
    connection = load(ROOT / "examples" / broker / "config.yaml", {}).settings.broker_connection
    assert connection is not None
    assert connection.type == broker
    assert [(address.host, address.port) for address in connection.addresses] == [("127.0.0.1", port_of(broker))]
    if isinstance(connection, RabbitmqConnection):  # the image has a user `guest` whom other hosts may use, too
        assert connection.user == "guest"
    else:
        assert not list(connection.secrets())


def test_rabbitmq_is_one_that_takes_the_queues_of_the_go_worker() -> None:
    """From 4.3 on a permit is needed; docs/brokers.md says which."""
    page = (ROOT / "docs/brokers.md").read_text()
    refused = re.search(r"RabbitMQ (\d+)\.(\d+) and later refuse such queues", page)
    version = re.search(r":(\d+)\.(\d+)", SERVICES["rabbitmq"]["image"])
    assert refused is not None
    assert version is not None
    assert (int(version[1]), int(version[2])) < (int(refused[1]), int(refused[2]))


def test_the_server_for_files_has_the_names_that_a_worker_has() -> None:
    environ = {name: default_of(value) for name, value in SERVICES["minio"]["environment"].items()}
    assert set(re.findall(r"\{(\w+)", str(SERVICES["minio"]["environment"]))) == {
        "MINIO_USERNAME",
        "MINIO_PASSWORD",
        "S3_BUCKET_NAME",
    }
    page = (ROOT / "docs/storage.md").read_text()
    assert f"`http://127.0.0.1:{port_of('minio')}`" in page
    for value in environ.values():
        assert f"`{value}`" in page
    keys = keys_for(
        "http://127.0.0.1",
        {"MINIO_USERNAME": environ["MINIO_ROOT_USER"], "MINIO_PASSWORD": environ["MINIO_ROOT_PASSWORD"]},
    )
    assert keys is not None


def config_of(service: str, tmp_path: Path) -> Path:
    """The file that a service of ours is given, with the `$` that Compose doubles."""
    (given,) = COMPOSE["services"][service]["configs"]
    written = tmp_path / f"{service}.yaml"
    written.write_text(COMPOSE["configs"][given["source"]]["content"].replace("$$", "$"))
    return written


def test_the_demo_is_a_manager_and_a_node_that_belongs_to_it(tmp_path: Path) -> None:
    manager = load_manager(config_of("manager", tmp_path))
    node = load(config_of("node", tmp_path), {}).settings
    assert node.end_point == f"http://manager:{manager.port}"
    assert node.credential.project_id == manager.project.id
    assert node.credential.secret_key is not None
    assert node.credential.secret_key.get_secret_value() == manager.project.key
    assert {job.event for job in node.jobs} == {job.event for job in manager.jobs}
    assert manager.connection.addresses[0].host in SERVICES


@pytest.mark.parametrize("service", OURS)
def test_a_part_of_the_demo_is_built_from_the_checkout_and_only_when_asked_for(service: str) -> None:
    told = COMPOSE["services"][service]
    assert told["profiles"] == ["demo"]
    assert (ROOT / "deploy" / told["build"]["context"] / told["build"]["dockerfile"]).is_file()
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE)
    assert told["build"]["target"] in stages
    assert stages[-1] == "node", "what is built where nothing is said"
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in told.get("ports", []))
    assert set(told["networks"]) <= set(COMPOSE["networks"])


@pytest.mark.parametrize("page", ["brokers", "storage"])
def test_the_documentation_names_servers_that_there_are(page: str) -> None:
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text().split())
    named = re.search(r"`docker compose --file (\S+) up (\w+)`((?: \(`\w+`(?:, `\w+`)*\))?)", text)
    assert named is not None
    assert Path(ROOT / named[1]).is_file()
    assert {named[2], *re.findall(r"`(\w+)`", named[3])} <= set(SERVICES)
