"""docs/jobs.md: its blocks make one configuration that is valid, and its commands show what the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tests.transcripts import Block, Step, blocks, differences, node_in, play

PAGE = ROOT / "docs" / "jobs.md"


def walk(room: Path) -> Iterator[tuple[Block, list[tuple[Step, str]]]]:
    """Start a node with all jobs of the page and type its commands; gives what those of each block printed."""
    jobs = [job for block in blocks(PAGE) if block.mark == "jobs" for job in yaml.safe_load(block.text)["jobs"]]
    (room / "config.yaml").write_text(yaml.safe_dump({"jobs": jobs}))
    with node_in(room):
        for block in blocks(PAGE):
            if block.mark == "type":
                yield block, play(block, room)


def test_every_block_is_marked() -> None:
    assert {block.mark for block in blocks(PAGE)} == {"jobs", "type"}


def test_the_commands_of_the_page_show_what_it_says(tmp_path: Path) -> None:
    played = list(walk(tmp_path))
    assert len(played) >= 8
    assert not "".join(differences(steps) for _, steps in played)


def test_every_file_that_the_page_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
