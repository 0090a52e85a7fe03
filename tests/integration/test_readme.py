"""The README's tour, as written, against a real node that runs a fresh copy of the repository's configuration."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, eventually, free_port

README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """One fenced block of the README that is marked with `<!-- tour -->`, and the program it needs, if any."""

    line: int
    needs: str
    text: str


def tour() -> list[Block]:
    """The marked blocks in their order."""
    found = re.finditer(r"^<!-- tour(?:: (\w+))? -->\n```bash\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [Block(README.count("\n", 0, match.start(2)) + 1, match[1] or "", match[2]) for match in found]


@dataclass(frozen=True)
class Visit:
    """A node that runs in a copy of the repository, and the shell of a second terminal beside it."""

    folder: Path
    port: int

    def run(self, text: str) -> str:
        """Run lines of the README with bash, stopping at the first that fails; give what they print."""
        script = "set -euo pipefail\n" + text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            env=environment(),
            check=False,
        )
        assert ended.returncode == 0, f"exit code {ended.returncode} of:\n{text}\n{ended.stdout}"
        return ended.stdout


def environment() -> dict[str, str]:
    """The environment of a terminal with the project's virtual environment active."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def copy_to(folder: Path, port: int) -> None:
    """Make what a newcomer has after set-up: configuration, examples, the virtual environment; on a port of its own."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    config = (ROOT / "config.yaml").read_text()
    (folder / "config.yaml").write_text(f"{config}\napi:\n  port: {port}\n")
    activate = folder / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f'PATH="{BIN}:$PATH"\n')


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    folder, port = tmp_path_factory.mktemp("readme"), free_port()
    copy_to(folder, port)
    log = folder / "node.log"
    with log.open("wb") as output:
        # What `make run` does after the set-up; test_setup.py holds the Makefile against it.
        node = subprocess.Popen(
            [BIN / "job_item", "--config", "config.yaml"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )
    try:
        eventually(lambda: node.poll() is not None or is_ready(port), within_s=10, what="the node is ready")
        assert node.poll() is None, log.read_text()
        yield Visit(folder, port)
        node.send_signal(signal.SIGINT)
        assert node.wait(timeout=40) == 0, log.read_text()
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()


def test_the_readme_has_a_tour() -> None:
    assert len(tour()) >= 5


def test_the_tour_of_the_readme_works_as_written(visit: Visit) -> None:
    said = [visit.run(block.text) for block in tour() if not block.needs or shutil.which(block.needs)]
    whole = "\n".join(said)
    assert "Hello from" in whole
    assert "Hello, Grace Hopper." in whole
    assert """you said: $(reboot); "quoted" *""" in whole
    assert "counted to 10" in whole
    assert "exit code 3: the job failed" in whole
    assert "counted to 25" in whole, "the job whose worker was killed ran again"


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
