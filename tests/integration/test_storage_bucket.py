"""A storage in S3: what other clients find there, credentials, bad connections, memory."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.sink import sink
from job_item.errors import NodeError, Unavailable
from job_item.storage import Storage, open_storage
from job_item.storage.bucket import PART_BYTES, Patience
from tests.brokers.certificates import make_certificates
from tests.conftest import ROOT, eventually, free_port
from tests.proxy import Proxy
from tests.s3 import REGION, S3, moto, signed
from tests.weighing import weigh

HASTY = Patience(attempts=3, connect_s=2, silence_s=1, trying_s=3)
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with signed(tmp_path_factory.mktemp("signed")) as running:
        yield running


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that takes every key and token."""
    with moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(autouse=True)
def variables(server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def uri(server: S3) -> str:
    return f"s3://{server.bucket}/results/test/{random.randrange(10**9)}"


@pytest.fixture
def storage(server: S3, uri: str) -> Storage:
    return open_storage(uri, region=REGION, endpoint=server.endpoint)


def some_file(folder: Path, size_bytes: int) -> Path:
    path = folder / "report.bin"
    path.write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return path


def key_of(uri: str, name: str) -> str:
    return f"{uri.split('/', 3)[3]}/{name}"


def acts(storage: Storage, folder: Path) -> list[Callable[[], object]]:
    """Everything that speaks to the server, large uploads too."""
    small, large = folder / "small", folder / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(PART_BYTES + 1))
    return [
        lambda: storage.upload(small),
        lambda: storage.upload(large),
        lambda: storage.write("a", b"x"),
        lambda: storage.download("a", folder / "back"),
        lambda: list(storage.list()),
        lambda: storage.delete("a"),
    ]


def refusals(storage: Storage, folder: Path) -> set[tuple[str, str]]:
    said = set()
    for act in acts(storage, folder):
        with pytest.raises(NodeError) as refused:
            act()
        said.add((refused.value.code, refused.value.message))
    return said


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES + 1])
def test_others_find_the_content_type(storage: Storage, server: S3, uri: str, tmp_path: Path, size_bytes: int) -> None:
    path = some_file(tmp_path, size_bytes)
    storage.upload(path, "suitable.geojson")
    storage.upload(path, "cog", content_type="image/tiff; application=geotiff")
    assert server.fetch(key_of(uri, "suitable.geojson"))["ContentType"] == "application/geo+json"
    assert server.fetch(key_of(uri, "cog"))["ContentType"] == "image/tiff; application=geotiff"


def test_a_large_file_goes_in_parts_and_a_failed_upload_leaves_none(
    storage: Storage, server: S3, uri: str, tmp_path: Path
) -> None:
    path = some_file(tmp_path, 3 * PART_BYTES)
    storage.upload(path, "whole")
    assert server.fetch(key_of(uri, "whole"))["ETag"].endswith('-3"')

    def give_up(done_bytes: int, _size_bytes: int) -> None:
        if done_bytes > 2 * PART_BYTES:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        storage.upload(path, "half", watch=give_up)

    def unfinished() -> list[object]:
        with closing(server.client()) as client:
            return list(client.list_multipart_uploads(Bucket=server.bucket).get("Uploads") or [])

    eventually(lambda: not unfinished(), what="the parts are gone")


def test_a_token_of_amazon_in_the_environment_does_not_spoil_the_keys_of_an_endpoint(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-somebody-else")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    other = open_storage(storage.uri, region=REGION, endpoint=os.environ["S3_ENDPOINT"])
    other.write("a", b"x")
    assert [stored.name for stored in storage.list()] == ["a"]


def test_the_variables_of_amazon_are_enough(
    server: S3, uri: str, monkeypatch: pytest.MonkeyPatch, storage: Storage
) -> None:
    for name in ("MINIO_USERNAME", "MINIO_PASSWORD"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.username)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.password)
    open_storage(uri, endpoint=server.endpoint).write("a", b"x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    open_storage(uri).write("b", b"x")
    assert sorted(stored.name for stored in storage.list()) == ["a", "b"]


def test_the_role_of_a_container_is_asked_for_its_keys(
    lenient: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
            open_storage(f"s3://{lenient.bucket}/role", region=REGION, endpoint=lenient.endpoint).write("a", b"x")
        finally:
            role.shutdown()
            serving.join()
    assert asked == ["of-the-container"]
    assert lenient.fetch("role/a")["Body"].read() == b"x"


@pytest.mark.parametrize("name", ["MINIO_USERNAME", "MINIO_PASSWORD"])
def test_wrong_credentials_are_one_sentence(
    server: S3, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "wrong")
    said = refusals(open_storage(uri, region=REGION, endpoint=server.endpoint), tmp_path)
    assert {code for code, _ in said} == {"ERR-STG-004"}
    for _, message in said:
        assert message.startswith(f"{server.endpoint} does not allow access to {uri}: ")
        assert "\n" not in message
        assert server.password not in message


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


def test_a_missing_bucket_is_one_sentence(server: S3, tmp_path: Path) -> None:
    storage = open_storage("s3://no-such-bucket/a", region=REGION, endpoint=server.endpoint)
    sentence = f"There is no bucket for s3://no-such-bucket/a at {server.endpoint}."
    assert refusals(storage, tmp_path) == {("ERR-STG-005", sentence)}


def test_a_server_that_is_not_there_is_one_sentence(uri: str, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    storage = open_storage(uri, endpoint=endpoint, patience=HASTY)
    sentence = f"{endpoint} cannot be reached, or the connection broke: connection refused."
    assert refusals(storage, tmp_path) == {("ERR-STG-003", sentence)}


def test_a_server_that_is_silent_is_given_up(uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable) as silent:
            open_storage(uri, endpoint=endpoint, patience=HASTY).write("a", b"x")
    sentence = f"{endpoint} cannot be reached, or the connection broke: it was silent for too long."
    assert (silent.value.code, silent.value.message) == ("ERR-STG-003", sentence)


@contextmanager
def answering(status: int, body: str) -> Iterator[tuple[str, list[str]]]:
    """A server that says the same to all; gives its endpoint, and what was asked."""
    asked: list[str] = []

    class Constant(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Constant) as constant:
        serving = threading.Thread(target=constant.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{constant.server_port}", asked
        finally:
            constant.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("status", "code_of_server", "code", "tries"),
    [
        (507, "XMinioStorageFull", "ERR-STG-007", 3),
        (503, "SlowDown", "ERR-STG-003", 3),
        (400, "EntityTooLarge", "ERR-STG-009", 1),
    ],
)
def test_what_a_server_refuses_is_tried_again_only_where_that_may_help(
    uri: str, status: int, code_of_server: str, code: str, tries: int
) -> None:
    answer = f"<Error><Code>{code_of_server}</Code><Message>So.</Message></Error>"
    with answering(status, answer) as (endpoint, asked), pytest.raises(NodeError) as refused:
        open_storage(uri, endpoint=endpoint, patience=HASTY).write("a", b"x")
    assert refused.value.code == code
    assert len(asked) == tries


def test_a_connection_that_breaks_is_no_failure(server: S3, uri: str, tmp_path: Path) -> None:
    path = some_file(tmp_path, 6 * PART_BYTES)
    with Proxy(int(server.endpoint.rpartition(":")[2])) as proxy:
        storage = open_storage(uri, region=REGION, endpoint=f"http://127.0.0.1:{proxy.port}")

        def breaking() -> Callable[[int, int], None]:
            due = [PART_BYTES, 3 * PART_BYTES, 5 * PART_BYTES]

            def watch(done_bytes: int, _size_bytes: int) -> None:
                if due and done_bytes >= due[0]:
                    due.pop(0)
                    proxy.reset()

            return watch

        storage.upload(path, "a", watch=breaking())
        storage.download("a", tmp_path / "back", watch=breaking())
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_a_server_that_comes_back_is_waited_for(uri: str, tmp_path: Path, server: S3) -> None:
    target, port = int(server.endpoint.rpartition(":")[2]), free_port()
    proxy = Proxy(target)
    proxy.port = port
    opened = threading.Event()

    def later() -> None:
        opened.wait()
        with proxy:
            done.wait()

    done = threading.Event()
    thread = threading.Thread(target=later)
    thread.start()
    try:
        path = some_file(tmp_path, MIB)
        # The proxy begins to listen while the first tries are refused.
        open_storage(uri, region=REGION, endpoint=f"http://127.0.0.1:{port}").upload(
            path, "a", watch=lambda *_: opened.set()
        )
    finally:
        opened.set()
        done.set()
        thread.join()
    assert server.fetch(key_of(uri, "a"))["ContentLength"] == MIB


def test_certificates_of_ones_own_are_named_in_the_environment(
    server: S3, uri: str, monkeypatch: pytest.MonkeyPatch, storage: Storage, tmp_path: Path
) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server.crt, made.server.key)
    with Proxy(int(server.endpoint.rpartition(":")[2]), tls=tls) as proxy:
        endpoint = f"https://127.0.0.1:{proxy.port}"
        with pytest.raises(Unavailable, match="its certificate is not trusted"):
            open_storage(uri, region=REGION, endpoint=endpoint, patience=HASTY).write("a", b"x")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(made.ca.crt))
        open_storage(uri, region=REGION, endpoint=endpoint, patience=HASTY).write("a", b"x")
    assert [stored.name for stored in storage.list()] == ["a"]


def test_certificates_that_are_none_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(NodeError) as refused:
        open_storage("s3://bucket/a", endpoint="https://127.0.0.1:1")
    assert refused.value.code == "ERR-STG-008"


def test_a_forked_process_is_told_to_open_its_own(storage: Storage) -> None:
    storage.write("a", b"x")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            storage.write("b", b"x")
        except NodeError as refused:
            os.write(writer, refused.code.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert said.read() == "ERR-STG-011"
    os.waitpid(pid, 0)


SEND = """
import sys
from job_item.storage import open_storage
storage = open_storage("s3://bucket/a", region="us-east-1", endpoint=sys.argv[1])
for path in sys.argv[2:]:
    storage.upload(path)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    weights = {}
    with sink() as endpoint, (tmp_path / "out").open("wb") as out:
        for size_mib in (32, 384):
            path = tmp_path / f"{size_mib}"
            path.touch()
            os.truncate(path, size_mib * MIB)
            command = [sys.executable, "-c", SEND, endpoint, str(path)]
            code, weights[size_mib] = weigh(
                command, tmp_path, {"MINIO_USERNAME": "a", "MINIO_PASSWORD": "b", "PYTHONPATH": str(ROOT)}, stdout=out
            )
            assert code == 0
    assert weights[384] < 128 * MIB
    assert weights[384] - weights[32] < 32 * MIB


def test_a_folder_needs_nothing_of_the_library_for_buckets(tmp_path: Path) -> None:
    program = """
import sys
from job_item.storage import open_storage
open_storage(sys.argv[1]).write("a", b"x")
print([name for name in ("obstore", "requests", "rich", "pydantic", "asyncio") if name in sys.modules])
"""
    with (tmp_path / "out").open("wb") as out:
        code, _ = weigh([sys.executable, "-c", program, str(tmp_path)], tmp_path, {"PYTHONPATH": str(ROOT)}, stdout=out)
    assert (code, (tmp_path / "out").read_text()) == (0, "[]\n")


def test_without_an_endpoint_of_ones_own_the_variables_of_amazon_say_where(
    lenient: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", lenient.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "c")
    open_storage(f"s3://{lenient.bucket}", region=REGION).write("whole-bucket", b"x")
    assert lenient.fetch("whole-bucket")["Body"].read() == b"x"


def test_the_page_of_storages_does_what_it_says(
    lenient: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.search(r"<!-- run -->\n```python\n(.*?)```", (ROOT / "docs/storage.md").read_text(), re.DOTALL)
    assert block is not None
    for name, value in (
        ("AWS_ENDPOINT_URL", lenient.endpoint),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    exec(block[1].replace('"/tmp"', f'"{tmp_path}"'), {})
    assert capsys.readouterr().out.startswith("maps/suitable.geojson 45 s3://results-of-tests/results/test/7/maps/")
    assert (tmp_path / "notes.txt").read_bytes() == b"a few bytes that are at hand"
