"""S3 servers for tests, each a process of its own. One takes everybody; another checks signatures."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from job_item.storage import Storage, open_storage
from tests.conftest import ROOT, eventually, free_port

USERNAME, PASSWORD = "minio-of-tests", "secret/of+tests"
REGION = "ap-southeast-2"
BUCKET = "results-of-tests"
_PORT = "{port}"


@dataclass(frozen=True)
class S3:
    """A running server with one bucket."""

    endpoint: str
    username: str = USERNAME
    password: str = PASSWORD
    bucket: str = BUCKET

    @property
    def variables(self) -> dict[str, str]:
        """What a worker's environment says of it."""
        return {
            "S3_ENDPOINT": self.endpoint,
            "MINIO_USERNAME": self.username,
            "MINIO_PASSWORD": self.password,
            "AWS_REGION": REGION,
        }

    def client(self, service: str = "s3") -> Any:
        """Another client than the one that is tested."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.username,
            aws_secret_access_key=self.password,
            config=Config(proxies={}, s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def make_bucket(self) -> S3:
        """Make the bucket."""
        with closing(self.client()) as client:
            client.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        return self

    def fetch(self, key: str) -> Any:
        """What others get for a key: its `Body`, `ContentType` and so on."""
        with closing(self.client()) as client:
            return client.get_object(Bucket=self.bucket, Key=key)


@contextmanager
def moto(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[S3]:
    """The server of moto; it takes any credentials."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", _PORT]
    with _serving(command, folder, "/moto-api/", environ or {}) as endpoint:
        yield S3(endpoint).make_bucket()


@contextmanager
def signed(folder: Path) -> Iterator[S3]:
    """A server that checks signatures: the gateway of Versity where it is installed, else that of moto in this mood."""
    found = shutil.which("versitygw", path=os.pathsep.join((str(ROOT / ".servers"), os.environ.get("PATH", ""))))
    with versity(found, folder) if found else strict_moto(folder) as server:
        yield server


@contextmanager
def versity(program: str, folder: Path) -> Iterator[S3]:
    """The gateway of Versity (https://github.com/versity/versitygw) over a folder."""
    files, beside = folder / "files", folder / "beside"
    files.mkdir(parents=True)
    beside.mkdir()
    who = ["--access", USERNAME, "--secret", PASSWORD, "--region", REGION]
    where = ["--port", f"127.0.0.1:{_PORT}", "--health", "/health", "--quiet", "posix", "--sidecar", str(beside)]
    with _serving([program, *who, *where, str(files)], folder, "/health", {}) as endpoint:
        yield S3(endpoint).make_bucket()


@contextmanager
def strict_moto(folder: Path) -> Iterator[S3]:
    """The server of moto, which after these three calls takes its own user only."""
    with moto(folder, {"INITIAL_NO_AUTH_ACTION_COUNT": "4"}) as server:
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        with closing(server.client("iam")) as client:
            client.create_user(UserName="worker")
            client.put_user_policy(UserName="worker", PolicyName="all", PolicyDocument=json.dumps(everything))
            key = client.create_access_key(UserName="worker")["AccessKey"]
        yield replace(server, username=key["AccessKeyId"], password=key["SecretAccessKey"])


@contextmanager
def _serving(command: list[str], folder: Path, health: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Run a server where `_PORT` stands for its port; gives its endpoint. Another one may have taken the port by the
    time that it listens: it gets the next one then.
    """
    log = folder / "s3.log"
    endpoint = ""
    process: subprocess.Popen[bytes] | None = None

    def start() -> subprocess.Popen[bytes]:
        nonlocal endpoint
        port = str(free_port())
        endpoint = f"http://127.0.0.1:{port}"
        words = [word.replace(_PORT, port) for word in command]
        with log.open("ab") as out:
            return subprocess.Popen(
                words, cwd=folder, env={**os.environ, **environ}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def answers() -> bool:
        nonlocal process
        if process is None or process.poll() is not None:
            process = start()
        try:
            with urllib.request.urlopen(f"{endpoint}{health}", timeout=20) as answer:
                return bool(answer.status == 200) and process.poll() is None
        except OSError:
            return False

    try:
        eventually(answers, within_s=90, what=f"the S3 server answers: see {log}")
        yield endpoint
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@pytest.fixture(scope="module")
def lenient_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that takes every key and token. One for each file: a pool of keepers in another kills all children."""
    with moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(scope="module")
def signed_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that checks signatures."""
    with signed(tmp_path_factory.mktemp("signed")) as running:
        yield running


@pytest.fixture
def s3(signed_s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A server that checks signatures, and the environment of a worker that knows it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in signed_s3.variables.items():
        monkeypatch.setenv(name, value)
    return signed_s3


@pytest.fixture
def s3_uri(s3: S3) -> str:
    """A prefix of this test's own."""
    return f"s3://{s3.bucket}/results/test/{random.randrange(10**9)}"


@pytest.fixture
def s3_storage(s3: S3, s3_uri: str) -> Storage:
    """The storage at that prefix."""
    return open_storage(s3_uri, region=REGION, endpoint=s3.endpoint)


def key_of(uri: str, name: str) -> str:
    """The key in the bucket of a name below a URI."""
    return f"{uri.split('/', 3)[3]}/{name}"


def some_file(folder: Path, size_bytes: int, name: str = "report.bin") -> Path:
    """A file of random bytes, the same for each size."""
    path = folder / name
    path.write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return path
