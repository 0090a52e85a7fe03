"""A storage in S3 where something is missing, full, silent or broken: one clear sentence each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from job_item.errors import NodeError, Unavailable
from job_item.storage import open_storage
from job_item.storage.bucket import PART_BYTES
from tests.conftest import free_port
from tests.proxy import Proxy
from tests.s3 import REGION, S3, key_of, some_file
from tests.stores import HASTY, MIB, SHORT_SILENCE, refusals

pytestmark = pytest.mark.usefixtures("s3")


def test_a_missing_bucket_is_one_sentence(s3: S3, tmp_path: Path) -> None:
    storage = open_storage("s3://no-such-bucket/a", region=REGION, endpoint=s3.endpoint)
    sentence = f"There is no bucket for s3://no-such-bucket/a at {s3.endpoint}."
    assert refusals(storage, tmp_path) == {("ERR-STG-005", sentence)}


def test_a_server_that_is_not_there_is_one_sentence(s3_uri: str, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there, nor can anybody begin to
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        storage = open_storage(s3_uri, endpoint=endpoint, patience=HASTY)
        sentence = f"{endpoint} cannot be reached, or the connection broke: connection refused."
        assert refusals(storage, tmp_path) == {("ERR-STG-003", sentence)}


def test_a_server_that_is_silent_is_given_up(s3_uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable) as silent:
            open_storage(s3_uri, endpoint=endpoint, patience=SHORT_SILENCE).write("a", b"x")
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
    s3_uri: str, status: int, code_of_server: str, code: str, tries: int
) -> None:
    answer = f"<Error><Code>{code_of_server}</Code><Message>So.</Message></Error>"
    with answering(status, answer) as (endpoint, asked), pytest.raises(NodeError) as refused:
        open_storage(s3_uri, endpoint=endpoint, patience=HASTY).write("a", b"x")
    assert refused.value.code == code
    assert len(asked) == tries


def test_a_connection_that_breaks_is_no_failure(s3: S3, s3_uri: str, tmp_path: Path) -> None:
    path = some_file(tmp_path, 6 * PART_BYTES)
    with Proxy(int(s3.endpoint.rpartition(":")[2])) as proxy:
        storage = open_storage(s3_uri, region=REGION, endpoint=f"http://127.0.0.1:{proxy.port}")

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


def test_a_server_that_comes_back_is_waited_for(s3_uri: str, tmp_path: Path, s3: S3) -> None:
    target, port = int(s3.endpoint.rpartition(":")[2]), free_port()
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
        open_storage(s3_uri, region=REGION, endpoint=f"http://127.0.0.1:{port}").upload(
            path, "a", watch=lambda *_: opened.set()
        )
    finally:
        opened.set()
        done.set()
        thread.join()
    assert s3.fetch(key_of(s3_uri, "a"))["ContentLength"] == MIB
