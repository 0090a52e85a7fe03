"""What a node takes from a server, and where it stops: real sockets, real files."""

from __future__ import annotations

import hashlib
import http.server
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.release.fetch import check_address, fetch_artifact, fetch_release
from job_item.release.manifest import SIZE_MAX_BYTES
from job_item.release.marker import Marker, Staged
from job_item.release.shelf import Shelf
from tests.conftest import ROOT
from tests.releases import RELEASE

CONTENT = os.urandom(300_000)
WHOLE = replace(
    RELEASE, artifact="whole", platform="any", size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()
)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one content in ways that are right and wrong."""

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        answers = {
            "whole": (200, CONTENT, len(CONTENT)),
            "broken": (200, CONTENT[:1000], len(CONTENT)),
            "short": (200, CONTENT[:1000], 1000),
            "longer": (200, CONTENT + b"x", len(CONTENT) + 1),
            "other": (200, CONTENT[:-1] + b"x", len(CONTENT)),
            "long-release": (200, b"x" * (SIZE_MAX_BYTES + 1), SIZE_MAX_BYTES + 1),
        }
        status, body, length = answers.get(name, (404, b"", 0))
        if name in ("loop", "away", "here"):
            self.send_response(302)
            self.send_header("Location", {"loop": "loop", "away": "http://192.0.2.1/x", "here": "whole"}[name])
            length = 0
        else:
            self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/releases/"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(url: str, name: str, folder: Path) -> Path:
    file = folder / "artifact"
    fetch_artifact(f"{url}release", replace(WHOLE, artifact=name), file)
    return file


@pytest.mark.parametrize("name", ["whole", "here"])
def test_an_artifact_is_fetched_whole(url: str, name: str, tmp_path: Path) -> None:
    file = fetch(url, name, tmp_path)
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("broken", "ERR-REL-010", "broke off"),
        ("short", "ERR-REL-011", "ends after 1000 of 300000"),
        ("longer", "ERR-REL-011", "goes on after 300000"),
        ("other", "ERR-REL-011", "digest"),
        ("none", "ERR-REL-010", "answers 404"),
        ("loop", "ERR-REL-010", "more than 5 times"),
        ("away", "ERR-REL-009", "not from http://192.0.2.1"),
    ],
)
def test_anything_else_is_refused(url: str, name: str, code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=words) as refused:
        fetch(url, name, tmp_path)
    assert refused.value.code == code


def test_a_release_file_is_short(url: str) -> None:
    with pytest.raises(NodeError, match="too long") as refused:
        fetch_release(f"{url}long-release")
    assert refused.value.code == "ERR-REL-002"


@pytest.mark.parametrize(
    "address",
    ["http://192.0.2.1/x", "http://example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", "x", "https://u:p@host/"],
)
def test_an_update_comes_over_https_or_from_this_machine(address: str) -> None:
    with pytest.raises(NodeError) as refused:
        check_address(address)
    assert refused.value.code == "ERR-REL-009"
    for good in ("https://example.com/x", "http://127.0.0.1:1/", "http://localhost/", "http://[::1]/x"):
        check_address(good)


FULL = """
import sys
from pathlib import Path
from tests.integration.test_update_fetch import WHOLE
from job_item.errors import NodeError
from job_item.release.fetch import fetch_artifact
from job_item.release.marker import Marker
from job_item.release.shelf import Shelf
folder = Path(sys.argv[1])
shelf = Shelf(folder)
shelf.write(Marker(sequence=5))
def fetch():
    with shelf.locked(), shelf.draft("2.0") as draft:
        fetch_artifact(sys.argv[2], WHOLE, draft / "job_item.pyz")
try:
    fetch()
except NodeError as error:
    print(error.code, error.message, error.remedy)
print(sorted(path.name for path in shelf.folder.iterdir()))
ballast = folder / "ballast"
try:
    with ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
except OSError:
    pass
try:
    shelf.write(Marker(sequence=6))
except NodeError as error:
    print(error.code, shelf.read().sequence)
ballast.unlink()
shelf.write(Marker(sequence=6))
print("room again", shelf.read().sequence)
"""
SMALL = "mount -t tmpfs -o size=200k tmpfs {folder} && exec {python} -c {code} {folder} {url}"


def test_a_full_disk_is_one_clear_error_and_leaves_what_was_there(url: str, tmp_path: Path) -> None:
    """The folder is a small file system of memory in a mount namespace of its own."""
    words = {"folder": tmp_path, "python": sys.executable, "code": FULL, "url": f"{url}release"}
    script = SMALL.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
    outside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    ended = subprocess.run(
        [*outside, "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = ended.stdout.splitlines()
    assert said[0].startswith("ERR-REL-012 The update cannot be kept"), ended
    assert "No space left on device" in said[0] and "Make room on the disk" in said[0]
    assert said[1:] == ["['current.json', 'lock']", "ERR-REL-012 5", "room again 6"], ended


def _put(shelf: Shelf, version: str) -> None:
    with shelf.locked(), shelf.draft(version) as draft:
        (draft / "job_item.pyz").write_text(version)


def test_a_version_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with pytest.raises(ValueError, match="on the way"), shelf.locked(), shelf.draft("1.0") as draft:
        (draft / "job_item.pyz").write_text("half")
        raise ValueError("on the way")
    assert shelf.versions() == ()
    _put(shelf, "1.0")
    _put(shelf, "1.0")
    assert shelf.versions() == ("1.0",)
    assert shelf.folder.stat().st_mode & 0o777 == 0o700


def test_old_versions_go_but_never_those_that_are_needed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for version in ("1.0", "1.9", "1.10", "2.0"):
        _put(shelf, version)
    current, previous = Staged("2.0", ""), Staged("1.0", "")
    assert shelf.prune(3, Marker(current, previous)) == ("1.9",)
    assert shelf.versions() == ("1.0", "1.10", "2.0")
    assert shelf.prune(1, Marker(current, previous)) == ("1.10",)
    assert shelf.versions() == ("1.0", "2.0")


def test_one_update_at_a_time(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.locked():
        with pytest.raises(NodeError) as refused, shelf.locked():
            pass
        assert refused.value.code == "ERR-REL-015"
    with shelf.locked():
        pass


def test_a_version_that_was_changed_on_the_disk_is_not_whole(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    _put(shelf, "1.0")
    staged = Staged("1.0", hashlib.sha256(b"1.0").hexdigest())
    assert shelf.is_whole(staged)
    shelf.artifact("1.0").write_text("1.1")
    assert not shelf.is_whole(staged)
    assert not shelf.is_whole(Staged("3.0", staged.sha256))


def test_a_marker_that_cannot_be_read_is_said_and_not_written_over(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write(Marker(sequence=5))
    assert shelf.read().sequence == 5
    (shelf.folder / "current.json").write_text("{")
    with pytest.raises(NodeError) as refused:
        shelf.change(lambda marker: marker.confirm(1.0))
    assert refused.value.code == "ERR-REL-018"
    assert (shelf.folder / "current.json").read_text() == "{"
