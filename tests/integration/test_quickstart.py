"""docs/quickstart.md: typed as written, it shows what the page shows; test_clone.py runs its `make run`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.conftest import ROOT, eventually
from tests.transcripts import BIN, Block, Step, blocks, differences, lasting, node_in, play

PAGE = ROOT / "docs" / "quickstart.md"


def copy_to(folder: Path) -> None:
    """Make what a newcomer has after the set-up: configuration, examples, the virtual environment."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "config.yaml", folder)
    activate = folder / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f'PATH="{BIN}:$PATH"\n')


def has_greeted(log: Path, greeting: str) -> bool:
    """Whether a node has said what the page shows."""
    return lasting(greeting) in lasting(log.read_text())


def walk(room: Path) -> Iterator[tuple[Block, list[tuple[Step, str]]]]:
    """Do what the page says, block by block; gives what the commands of each printed."""
    clone, own = room / "job_item", room / "my-node"
    log = clone / "node.log"
    with ExitStack() as nodes:
        for block in blocks(PAGE):
            match block.mark:
                case "clone":
                    copy_to(clone)
                    nodes.enter_context(node_in(clone))
                case "greeting":
                    # The node answers before its parent has heard that it does, and says where.
                    eventually(partial(has_greeted, log, block.text), what=log.read_text())
                case "tour":
                    yield block, play(block, clone)
                case "file":
                    (own / "config.yaml").write_text(block.text)
                case "node":
                    nodes.close()
                    nodes.enter_context(node_in(own, block.text))
                case "own":
                    yield block, play(block, own)
                case other:
                    raise AssertionError(f"line {block.line}: {other!r}")


def test_the_quick_start_shows_what_a_newcomer_will_see(tmp_path: Path) -> None:
    played = list(walk(tmp_path))
    assert len(played) >= 6
    assert not "".join(differences(steps) for _, steps in played)
    assert (tmp_path / "my-node" / "first.tar.gz").is_file()


def test_every_file_that_the_page_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
