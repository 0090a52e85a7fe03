"""Who a storage in S3 is to its server, and whom it trusts."""

from __future__ import annotations

import json
import os
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from job_item.errors import NodeError, Unavailable
from job_item.storage import Storage, open_storage
from tests.brokers.certificates import make_certificates
from tests.conftest import free_port
from tests.proxy import Proxy
from tests.s3 import REGION, S3
from tests.stores import HASTY, refusals

pytestmark = pytest.mark.usefixtures("s3")


def test_a_token_of_amazon_in_the_environment_does_not_spoil_the_keys_of_an_endpoint(
    s3_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-somebody-else")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    other = open_storage(s3_storage.uri, region=REGION, endpoint=os.environ["S3_ENDPOINT"])
    other.write("a", b"x")
    assert [stored.name for stored in s3_storage.list()] == ["a"]


def test_the_variables_of_amazon_are_enough(
    s3: S3, s3_uri: str, monkeypatch: pytest.MonkeyPatch, s3_storage: Storage
) -> None:
    for name in ("MINIO_USERNAME", "MINIO_PASSWORD"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.username)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.password)
    open_storage(s3_uri, endpoint=s3.endpoint).write("a", b"x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    open_storage(s3_uri).write("b", b"x")
    assert sorted(stored.name for stored in s3_storage.list()) == ["a", "b"]


def test_the_role_of_a_container_is_asked_for_its_keys(
    lenient_s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str | None] = []

    class Role(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            ends = datetime.now(UTC) + timedelta(hours=1)
            keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c"}
            body = json.dumps({**keys, "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    for name in ("MINIO_USERNAME", "MINIO_PASSWORD"):
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("of-the-container")
    with ThreadingHTTPServer(("127.0.0.1", 0), Role) as role:
        serving = threading.Thread(target=role.serve_forever, args=(0.01,))
        serving.start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{role.server_port}/keys")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        try:
            open_storage(f"s3://{lenient_s3.bucket}/role", region=REGION, endpoint=lenient_s3.endpoint).write("a", b"x")
        finally:
            role.shutdown()
            serving.join()
    assert asked == ["of-the-container"]
    assert lenient_s3.fetch("role/a")["Body"].read() == b"x"


@pytest.mark.parametrize("name", ["MINIO_USERNAME", "MINIO_PASSWORD"])
def test_wrong_credentials_are_one_sentence(
    s3: S3, s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "wrong")
    said = refusals(open_storage(s3_uri, region=REGION, endpoint=s3.endpoint), tmp_path)
    assert {code for code, _ in said} == {"ERR-STG-004"}
    for _, message in said:
        assert message.startswith(f"{s3.endpoint} does not allow access to {s3_uri}: ")
        assert "\n" not in message
        assert s3.password not in message


def test_missing_credentials_are_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIO_PASSWORD")
    with pytest.raises(NodeError) as refused:
        open_storage("s3://bucket/a", endpoint="http://127.0.0.1:1")
    assert refused.value.code == "ERR-STG-008"
    assert "MINIO_PASSWORD" in refused.value.message


def test_where_nobody_knows_credentials_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NodeError) as refused:
        open_storage("s3://bucket/a", region=REGION, patience=HASTY).write("a", b"x")
    assert refused.value.code == "ERR-STG-008"
    assert refused.value.message == "There are no credentials for s3://bucket/a in the environment."


def test_certificates_of_ones_own_are_named_in_the_environment(
    s3: S3, s3_uri: str, monkeypatch: pytest.MonkeyPatch, s3_storage: Storage, tmp_path: Path
) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server.crt, made.server.key)
    with Proxy(int(s3.endpoint.rpartition(":")[2]), tls=tls) as proxy:
        endpoint = f"https://127.0.0.1:{proxy.port}"
        with pytest.raises(Unavailable, match="its certificate is not trusted"):
            open_storage(s3_uri, region=REGION, endpoint=endpoint, patience=HASTY).write("a", b"x")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(made.ca.crt))
        open_storage(s3_uri, region=REGION, endpoint=endpoint, patience=HASTY).write("a", b"x")
    assert [stored.name for stored in s3_storage.list()] == ["a"]


def test_certificates_that_are_none_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(NodeError) as refused:
        open_storage("s3://bucket/a", endpoint="https://127.0.0.1:1")
    assert refused.value.code == "ERR-STG-008"


def test_without_an_endpoint_of_ones_own_the_variables_of_amazon_say_where(
    lenient_s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", lenient_s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "c")
    open_storage(f"s3://{lenient_s3.bucket}", region=REGION).write("whole-bucket", b"x")
    assert lenient_s3.fetch("whole-bucket")["Body"].read() == b"x"
