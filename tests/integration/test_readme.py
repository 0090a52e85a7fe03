"""README.md: its tour shows what the page shows, its tables of measurements are those that were measured."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from job_item.settings import Settings
from job_item.state import StateFolder
from tests.conftest import ROOT
from tests.integration.test_quickstart import copy_to
from tests.transcripts import blocks, differences, node_in, play
from tools import readme_page

PAGE = ROOT / "README.md"
TEXT = PAGE.read_text()


def test_the_tour_of_the_readme_shows_what_the_page_shows(tmp_path: Path) -> None:
    clone = tmp_path / "job_item"
    copy_to(clone)
    played = []
    with node_in(clone):
        node = StateFolder(clone / ".job_item").read_node()
        assert node is not None
        for block in blocks(PAGE):
            mark, _, needs = block.mark.partition(": ")
            if mark == "tour" and (not needs or shutil.which(needs)):
                text = block.text.replace("http://127.0.0.1:8080", node.url)
                played.append(play(replace(block, text=text), clone))
    assert len(played) >= 3
    assert not "".join(map(differences, played))


def test_the_tables_of_measurements_are_what_was_measured() -> None:
    assert readme_page.fill_in(TEXT) == TEXT, "run `make docs`"
    assert TEXT.count("| 0 |") >= 3 and "**no**" in TEXT, "missed targets are shown too"


def test_the_configuration_of_the_readme_is_valid() -> None:
    (block,) = [block for block in blocks(PAGE) if block.language == "yaml"]
    assert Settings.model_validate(yaml.safe_load(block.text)).jobs


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_every_file_that_a_page_of_the_top_folder_links_to_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", (ROOT / page).read_text())
    assert links
    assert [link for link, _ in links if not (ROOT / link).exists()] == []
    for link, anchor in links:
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / link).read_text(), flags=re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{link}#{anchor}"


def slug(heading: str) -> str:
    """The anchor of a heading, as repository pages and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
