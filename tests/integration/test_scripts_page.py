"""docs/scripts.md: every block on it is run, in the surroundings of a job."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.managers import Manager, managing
from tests.terminal import COMMAND, environment

PAGE = ROOT / "docs" / "scripts.md"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """A fenced block and what is said before it."""

    line: int
    wants: str
    language: str
    text: str


def blocks() -> list[Block]:
    page = PAGE.read_text()
    found = re.finditer(r"^(?:<!-- ([^>]+) -->\n)?```(\w+)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return [Block(page.count("\n", 0, one.start(3)) + 1, one[1] or "", one[2], one[3]) for one in found]


@pytest.fixture
def manager() -> Iterator[Manager]:
    with managing() as manager:
        yield manager


def test_every_block_is_marked() -> None:
    assert len(blocks()) > 8
    assert [block.line for block in blocks() if not block.wants] == []


@pytest.mark.parametrize(
    "block", [block for block in blocks() if block.wants.startswith("run")], ids=lambda block: f"line {block.line}"
)
def test_a_block_of_the_page_works_as_written(block: Block, manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "T1.json").write_text('{"name": "Ada"}')
    program = {"bash": ["bash", "-euc"], "python": [sys.executable, "-c"]}[block.language]
    wanted = re.search(r"exit code (\d+)", block.wants)
    path = environment()["PATH"]
    ended = subprocess.run(
        [*program, block.text],
        cwd=tmp_path,
        env=environment({**manager.variables(), "PATH": f"{BIN}:{path}", "LC_ALL": "C"}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == int(wanted[1] if wanted else 0), ended.stderr
    assert manager.asked, "each of them sends something"
    if "--status" in block.text:
        assert manager.messages[0].endswith("\n[exit code 2]\n")
    if "cut.csv" in block.text:
        assert manager.messages[:2] == ["begins", "33 % cutting"]
        assert "100 % cutting" in manager.messages
        assert manager.results == [
            {"status": "completed", "result": {"file": "https://manager.example/files/T1/7", "members": 1}},
            {"status": "completed", "rows": 12},
        ]


def test_the_settings_on_the_page_are_valid(tmp_path: Path) -> None:
    (block,) = [block for block in blocks() if block.wants == "settings"]
    (tmp_path / "config.yaml").write_text(block.text)
    checked = subprocess.run(
        [*COMMAND, "check"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=90, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_file_that_the_page_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
