"""How Sphinx makes the site of these pages: `make site`, where every warning is an error."""

import os
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")

project = "job_item"
author = "The job_item authors"
_source = (ROOT / "job_item" / "__init__.py").read_text(encoding="utf-8")
release = re.findall(r'^__version__ = "(.+)"$', _source, flags=re.MULTILINE)[0]
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"job_item {release}"
html_copy_source = False
html_show_copyright = False
highlight_language = "text"

PAGES = {
    "changelog": ROOT / "CHANGELOG.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "security": ROOT / "SECURITY.md",
    "example-manager": ROOT / "examples" / "job_manager" / "README.md",
    "example-reefguide": ROOT / "examples" / "reefguide" / "README.md",
    "example-scripts": ROOT / "examples" / "scripts" / "README.md",
}
"""Pages that show a file from elsewhere in the repository."""


def show_the_file_itself(_app: Any, name: str, source: list[str]) -> None:
    """Put the file in the place of the page that stands for it, and lead links to such files to their pages."""
    file = PAGES.get(name, HERE / f"{name}.md")
    pages = {path: f"{page}.md" for page, path in PAGES.items()}

    def lead(link: re.Match[str]) -> str:
        target = (file.parent / link[1]).resolve()
        return f"]({pages.get(target, os.path.relpath(target, HERE))}"

    source[0] = _LINK.sub(lead, file.read_text(encoding="utf-8"))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", show_the_file_itself)
