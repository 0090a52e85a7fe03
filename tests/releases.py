"""Artifacts for tests of updates: the node of this tree as one file that unpacks itself, under any version.

As the real one (`make dist`) it runs from a folder of its own that PEX_ROOT names; the libraries are those of the
tests. `faults` puts code into modules of the new version: at their beginning, or behind a line, as `line >>> code`.
"""

from __future__ import annotations

import compileall
import http.client
import http.server
import py_compile
import re
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from job_item.release.keys import make_key
from job_item.release.manifest import Manifest
from supervisor.cli.release import sign_artifact
from tests.conftest import ROOT
from tests.nodes import Node

RELEASE = Manifest(
    version="1.4.2",
    sequence=7,
    issued_at=1_800_000_000,
    channel="stable",
    platform="linux-x86_64",
    python="3.11",
    artifact="job_item-1.4.2.pyz",
    size=1234,
    sha256="0" * 64,
)
"""What a release may say of itself."""
ROOMS = ("job_item", "supervisor", "worker", "execs")
_START = """
import os, sys, zipfile
home = os.path.join(os.environ["PEX_ROOT"], "code")
if not os.path.isdir(home):
    draft = home + str(os.getpid())
    zipfile.ZipFile(sys.argv[0]).extractall(draft)
    os.rename(draft, home)
told = {**os.environ, "PYTHONPATH": home}
os.execve(PYTHON, [PYTHON, "-m", "supervisor", *sys.argv[1:]], told)
"""


def build(file: Path, version: str, faults: Mapping[str, str] | None = None) -> Path:
    """Make the artifact of a version."""
    changes = {"job_item/__init__.py": ('__version__ = ".*"', f'__version__ = "{version}"')}
    head = "from __future__ import annotations\n"
    for name, fault in (faults or {}).items():
        place, _, code = fault.rpartition(" >>> ")
        changes[name] = (place or head, f"{place or head}{code}\n")
    with TemporaryDirectory() as name, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__main__.py", f"PYTHON = {sys.executable!r}{_START}")
        tree = Path(name)
        for changed, (old, new) in changes.items():
            text, count = re.subn(old, new, (ROOT / changed).read_text(), count=1)
            assert count
            (tree / changed).parent.mkdir(exist_ok=True)
            (tree / changed).write_text(text)
        compile_all(tree)
        for part in (tree, Path(compiled().name)):
            for path in sorted(part.rglob("*")):
                if path.is_file() and str(path.relative_to(part)) not in archive.NameToInfo:
                    archive.write(path, path.relative_to(part))
    return file


@cache
def compiled() -> TemporaryDirectory[str]:
    """The node of this tree, compiled: once for all versions that a process makes."""
    folder = TemporaryDirectory()
    for room in ROOMS:
        shutil.copytree(ROOT / room, Path(folder.name) / room, ignore=shutil.ignore_patterns("__pycache__"))
    compile_all(Path(folder.name))
    return folder


def compile_all(tree: Path) -> None:
    """Compile a tree so that nobody compares it with its sources."""
    compileall.compile_dir(tree, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


class Releases:
    """Somebody who makes releases: a key, a folder with artifacts and release files, and a server that gives them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self._key = folder / "private"
        self.public_key = make_key(self._key)
        self._sequence = 0

    def release(self, version: str, faults: Mapping[str, str] | None = None) -> str:
        """Build and sign a version; returns the address of its release file."""
        artifact = build(self.folder / f"job_item-{version}.pyz", version, faults)
        return self.sign(artifact, version)

    def sign(self, artifact: Path, version: str, **how: str) -> str:
        """Sign an artifact as a version; returns the address of its release file."""
        self._sequence += 1
        out = self.folder / f"{version}.release"
        sign_artifact(artifact, self._key, version, sequence=self._sequence, out=out, **how)
        return f"{self.url}/{out.name}"


def runs(node: Node, version: str) -> bool:
    """Whether the node is ready in a version; while it changes over nobody answers."""
    try:
        return bool(node.health()["version"] == version and node.get("/readyz")[0] == 200)
    except (OSError, http.client.HTTPException):
        return False


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def releasing(folder: Path) -> Iterator[Releases]:
    """Have somebody make releases in `folder`."""
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Releases(folder, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
