"""`broker_connection`: what is read leniently, what is refused, and the certificates that TLS needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from job_item.connections import Connection
from job_item.errors import SettingsError
from job_item.findings import findings
from job_item.load import Loaded, load
from job_item.settings import Settings
from tests.brokers.certificates import Certificates
from tests.conftest import ROOT

NATS: dict[str, Any] = {"type": "nats", "host": "h"}
RABBITMQ: dict[str, Any] = {"type": "rabbitmq", "host": "h", "user": "u", "password": "p"}
REDIS: dict[str, Any] = {"type": "redis", "host": "h"}


def read(connection: dict[str, Any]) -> Any:
    return Settings.model_validate({"broker_connection": connection}).broker_connection


def refusals(connection: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(ValidationError) as error:
        read(connection)
    return [(".".join(map(str, found.path)), found.code, found.message) for found in findings(error.value)]


def addresses(connection: Connection) -> list[str]:
    return [str(address) for address in connection.addresses]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in (True, "true", "True", "1", 1, 1.0, 2, "yes")),
        *((value, False) for value in (False, "false", "0", 0, "", "no", None)),
    ],
)
def test_secure_is_read_in_all_the_forms_it_is_sent_in(value: object, expected: bool) -> None:
    assert read(NATS | {"secure": value}).secure is expected


@pytest.mark.parametrize("value", ["maybe", "ture", "tls", [], {}])
def test_an_unclear_secure_is_refused(value: object) -> None:
    assert refusals(NATS | {"secure": value})[0][:2] == ("broker_connection.secure", "ERR-CFG-005")


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (NATS, ["h:4222"]),
        (NATS | {"port": "4333"}, ["h:4333"]),
        (NATS | {"port": 4333.0}, ["h:4333"]),
        (NATS | {"host": "::1"}, ["[::1]:4222"]),
        (NATS | {"host": "[::1]"}, ["[::1]:4222"]),
        (NATS | {"servers": ["b", "c:1", "nats://d:2", "[::2]:3", "::3", "h"]},
         ["h:4222", "b:4222", "c:1", "d:2", "[::2]:3", "[::3]:4222"]),
        ({"type": "nats", "servers": "nats://a:1, b:2"}, ["a:1", "b:2"]),
        (NATS | {"secure": True, "servers": ["tls://b:2"]}, ["h:4222", "b:2"]),
        (RABBITMQ, ["h:5672"]),
        (RABBITMQ | {"secure": "1"}, ["h:5671"]),
        (RABBITMQ | {"secure": "1", "port": 99}, ["h:99"]),
        (REDIS, ["h:6379"]),
    ],
)  # fmt: skip
def test_servers_are_found_in_the_order_they_are_tried(connection: dict[str, Any], expected: list[str]) -> None:
    assert addresses(read(connection)) == expected


@pytest.mark.parametrize(
    ("connection", "path", "code", "words"),
    [
        ({"host": "h"}, "type", "ERR-CFG-006", "is missing"),
        ({"type": "kafka", "host": "h"}, "type", "ERR-CFG-007", "'nats', 'rabbitmq', 'redis', not 'kafka'"),
        ({"type": "nats"}, "", "ERR-CFG-006", "host is missing"),
        (NATS | {"host": "nats://u:hunter22@h"}, "host", "ERR-CFG-007", "name or IP address of a host"),
        (NATS | {"servers": ["nats://u:hunter22@h"]}, "servers.0", "ERR-CFG-007", "credentials in its URL"),
        (NATS | {"servers": ["tls://h:1"]}, "", "ERR-CFG-007", "secure is not set"),
        (NATS | {"servers": ["ws://h:1"]}, "servers.0", "ERR-CFG-007", "host:port"),
        (NATS | {"port": 0}, "port", "ERR-CFG-007", "at least 1"),
        (NATS | {"port": "x"}, "port", "ERR-CFG-005", "whole number"),
        (NATS | {"auth_type": "jwt"}, "auth_type", "ERR-CFG-007", "must be 'none', 'token'"),
        (NATS | {"auth_type": "token"}, "", "ERR-CFG-006", "token is missing"),
        (NATS | {"auth_type": "user_password", "user": "u"}, "", "ERR-CFG-006", "password is missing"),
        (NATS | {"user": "u", "password": "p", "token": "t"}, "", "ERR-CFG-007", "both user and token"),
        (NATS | {"pasword": "p"}, "pasword", "ERR-CFG-004", "did you mean `password`?"),
        (NATS | {"virtual_host": "p"}, "virtual_host", "ERR-CFG-004", "broker_connection of type rabbitmq"),
        (RABBITMQ | {"user": ""}, "user", "ERR-CFG-006", "is missing"),
        (RABBITMQ | {"exchange_type": "fanout"}, "exchange_type", "ERR-CFG-007", "must be 'direct' or 'topic'"),
        (RABBITMQ | {"routing_key": "all"}, "routing_key", "ERR-CFG-007", "must have {subject} in it"),
        (REDIS | {"db": -1}, "db", "ERR-CFG-007", "at least 0"),
        (REDIS | {"user": "u"}, "", "ERR-CFG-006", "password is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(connection: dict[str, Any], path: str, code: str, words: str) -> None:
    found = refusals(connection)
    assert [entry[:2] for entry in found] == [(f"broker_connection.{path}".rstrip("."), code)]
    assert words in found[0][2]
    assert "hunter22" not in str(found)


def test_the_job_managers_empty_texts_are_absent() -> None:
    found = read(NATS | {"user": "", "token": "", "ca_file": "", "auth_type": "none", "key": "k", "secure": ""})
    assert (found.user, found.token, found.ca_file, found.auth) == (None, None, None, "none")
    assert read(REDIS | {"password": "", "db": "3"}).db == 3


@pytest.mark.parametrize(
    ("more", "auth"),
    [
        ({}, "none"),
        ({"token": "t"}, "token"),
        ({"user": "u", "password": "p"}, "user_password"),
        ({"user": "u", "password": "p", "auth_type": "none"}, "none"),
        ({"user": "u", "password": "p", "auth_type": "user_password_bcrypt"}, "user_password"),
        ({"user": "u", "password": "p", "token": "t", "auth_type": "token"}, "token"),
    ],
)
def test_nats_shows_the_credentials_that_are_meant(more: dict[str, str], auth: str) -> None:
    assert read(NATS | more).auth == auth


# certificates


def load_connection(folder: Path, connection: dict[str, Any]) -> Loaded:
    (folder / "config.yaml").write_text(yaml.safe_dump({"broker_connection": connection}))
    (folder / "config.yaml").chmod(0o600)
    return load(folder / "config.yaml", {"SECRET": "from-environment"})


def place(folder: Path, certificates: Certificates, *names: str) -> None:
    """Put certificates into the layout: `tls/nats/ca.crt`."""
    for name in names:
        pair = certificates.client if "client" in name else certificates.ca
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((pair.key if name.endswith(".key") else pair.crt).read_bytes())
        file.chmod(0o600)


@pytest.mark.parametrize(("kind", "ca"), [(NATS, "ca.crt"), (RABBITMQ, "server.crt"), (REDIS, "ca.crt")])
def test_the_tls_layout_is_found_by_default(
    tmp_path: Path, certificates: Certificates, kind: dict[str, Any], ca: str
) -> None:
    base = f"tls/{kind['type']}"
    place(tmp_path, certificates, f"{base}/{ca}")
    found = load_connection(tmp_path, kind | {"secure": True}).settings.broker_connection
    assert found is not None
    assert (found.ca_file, found.cert_file, found.key_file) == (str(tmp_path / base / ca), None, None)
    place(tmp_path, certificates, f"{base}/client.crt", f"{base}/client.key")
    found = load_connection(tmp_path, kind | {"secure": True}).settings.broker_connection
    assert found is not None
    assert found.is_tls
    assert (found.cert_file, found.key_file) == (
        str(tmp_path / base / "client.crt"),
        str(tmp_path / base / "client.key"),
    )


def test_files_are_relative_to_the_folder_of_the_configuration(tmp_path: Path, certificates: Certificates) -> None:
    place(tmp_path, certificates, "own/a.crt", "own/client.crt", "own/client.key")
    files = {"ca_file": "own/a.crt", "cert_file": "own/client.crt", "key_file": "own/client.key"}
    found = load_connection(tmp_path, NATS | files).settings.broker_connection
    assert found is not None
    assert found.is_tls  # NATS: a client certificate is enough (protocol, section 3.3)
    assert found.ca_file == str(tmp_path / "own/a.crt")


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ({"secure": True}, "secure", "there is no ca_file, and no "),
        ({"secure": True, "ca_file": "none.crt"}, "ca_file", "No such file"),
        ({"secure": True, "ca_file": "bad.crt"}, "ca_file", "does not hold what it should"),
        ({"secure": True, "ca_file": "a.crt", "cert_file": "client.crt"}, "cert_file", "without key_file"),
        ({"secure": True, "ca_file": "a.crt", "key_file": "client.key"}, "key_file", "without cert_file"),
        ({"secure": True, "ca_file": "a.crt", "cert_file": "client.crt", "key_file": "no"}, "key_file", "no such file"),
        ({"secure": True, "ca_file": "a.crt", "cert_file": "client.crt", "key_file": "a.key"}, "cert_file", "belong"),
        ({"ca_file": "a.crt"}, "ca_file", "neither TLS nor plain text is clearly meant"),
    ],
)
def test_tls_without_usable_certificates_is_refused_when_loaded(
    tmp_path: Path, certificates: Certificates, more: dict[str, Any], path: str, words: str
) -> None:
    place(tmp_path, certificates, "a.crt", "a.key", "client.crt", "client.key")
    (tmp_path / "bad.crt").write_text("nothing")
    with pytest.raises(SettingsError) as refused:
        load_connection(tmp_path, REDIS | more)
    (fault,) = refused.value.faults
    assert (fault.code, fault.path) == ("ERR-CFG-036", f"broker_connection.{path}")
    assert fault.line
    assert words in fault.message


def test_a_private_key_that_others_may_read_is_warned_about(tmp_path: Path, certificates: Certificates) -> None:
    place(tmp_path, certificates, "tls/redis/ca.crt", "tls/redis/client.crt", "tls/redis/client.key")
    (tmp_path / "tls/redis/client.key").chmod(0o644)
    (warning,) = load_connection(tmp_path, REDIS | {"secure": True}).warnings
    assert (warning.code, warning.file) == ("ERR-CFG-024", str(tmp_path / "tls/redis/client.key"))


def test_secrets_come_from_files_and_variables_and_are_known_to_the_redactor(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from-file\n")
    (tmp_path / "pw").chmod(0o600)
    loaded = load_connection(tmp_path, NATS | {"user": "u", "password_file": "pw", "auth_type": "user_password"})
    assert "from-file" in loaded.secrets
    loaded = load_connection(tmp_path, NATS | {"token": "${SECRET}"})
    assert "from-environment" in loaded.secrets
    assert "from-environment" not in repr(loaded.settings)


# what is imported, and the examples

LIBRARIES = {"nats": NATS, "aiormq": RABBITMQ, "redis": REDIS}


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_the_client_library_of_the_broker_in_use_is_imported(library: str) -> None:
    program = f"""
import sys
import worker.brokers.choose, worker.brokers.seam, worker.brokers.embedded
from job_item.settings import Settings
settings = Settings.model_validate({{"broker_connection": {LIBRARIES[library]!r}}}).broker_connection
others = ("nats", "aiormq", "aio_pika", "redis", "aiohttp")
assert not [name for name in others if name in sys.modules]
worker.brokers.choose.choose_broker(settings)
print([name for name in others if name in sys.modules])
"""
    command = [sys.executable, "-c", program]
    assert (
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == f"['{library}']"
    )


@pytest.mark.parametrize("kind", ["nats", "rabbitmq", "redis"])
def test_the_example_of_each_broker_is_a_valid_configuration(
    kind: str, tmp_path: Path, certificates: Certificates
) -> None:
    example = (ROOT / "examples" / kind / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(example)
    (tmp_path / "password").write_text("s3cret-of-broker")
    (tmp_path / "project-key").write_text("s3cret-of-project")
    plain = load(tmp_path / "config.yaml", {}).settings.broker_connection
    assert plain is not None
    assert plain.type == kind
    assert not plain.is_tls
    secured = "\n".join(line.replace("# secure: true", "secure: true") for line in example.splitlines())
    assert secured != example
    (tmp_path / "config.yaml").write_text(secured)
    base = f"tls/{kind}"
    place(tmp_path, certificates, f"{base}/ca.crt", f"{base}/server.crt", f"{base}/client.crt", f"{base}/client.key")
    found = load(tmp_path / "config.yaml", {}).settings.broker_connection
    assert found is not None
    assert found.is_tls
