"""A storage in S3: what other clients find there, memory, processes."""

from __future__ import annotations

import os
import re
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.sink import sink
from job_item.errors import NodeError
from job_item.storage import Storage
from job_item.storage.bucket import PART_BYTES
from tests.conftest import ROOT, eventually
from tests.s3 import S3, key_of, some_file
from tests.stores import MIB
from tests.weighing import weigh

pytestmark = pytest.mark.usefixtures("s3")


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES + 1])
def test_others_find_the_content_type(
    s3_storage: Storage, s3: S3, s3_uri: str, tmp_path: Path, size_bytes: int
) -> None:
    path = some_file(tmp_path, size_bytes)
    s3_storage.upload(path, "suitable.geojson")
    s3_storage.upload(path, "cog", content_type="image/tiff; application=geotiff")
    assert s3.fetch(key_of(s3_uri, "suitable.geojson"))["ContentType"] == "application/geo+json"
    assert s3.fetch(key_of(s3_uri, "cog"))["ContentType"] == "image/tiff; application=geotiff"


def test_a_large_file_goes_in_parts_and_a_failed_upload_leaves_none(
    s3_storage: Storage, s3: S3, s3_uri: str, tmp_path: Path
) -> None:
    path = some_file(tmp_path, 3 * PART_BYTES)
    s3_storage.upload(path, "whole")
    assert s3.fetch(key_of(s3_uri, "whole"))["ETag"].endswith('-3"')

    def give_up(done_bytes: int, _size_bytes: int) -> None:
        if done_bytes > 2 * PART_BYTES:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        s3_storage.upload(path, "half", watch=give_up)

    def unfinished() -> list[object]:
        with closing(s3.client()) as client:
            return list(client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads") or [])

    eventually(lambda: not unfinished(), what="the parts are gone")


def test_a_forked_process_is_told_to_open_its_own(s3_storage: Storage) -> None:
    s3_storage.write("a", b"x")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            s3_storage.write("b", b"x")
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


def test_the_page_of_storages_does_what_it_says(
    lenient_s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.search(r"<!-- run -->\n```python\n(.*?)```", (ROOT / "docs/storage.md").read_text(), re.DOTALL)
    assert block is not None
    for name, value in (
        ("AWS_ENDPOINT_URL", lenient_s3.endpoint),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    exec(block[1].replace('"/tmp"', f'"{tmp_path}"'), {})
    assert capsys.readouterr().out.startswith("maps/suitable.geojson 45 s3://results-of-tests/results/test/7/maps/")
    assert (tmp_path / "notes.txt").read_bytes() == b"a few bytes that are at hand"
