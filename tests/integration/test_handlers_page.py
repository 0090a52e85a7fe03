"""docs/handlers.md from top to bottom, as somebody types it; and the example."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tests.nodes import running
from tests.terminal import environment

PAGE = ROOT / "docs" / "handlers.md"
BLOCK = re.compile(r"^<!-- ([^\n]+) -->\n```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def run(folder: Path, text: str) -> tuple[int, str]:
    path = f"{Path(sys.executable).parent}:{environment()['PATH']}"
    ended = subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env=environment({"PATH": path}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_the_page_works_as_written(tmp_path: Path) -> None:
    found = BLOCK.findall(PAGE.read_text())
    assert len(found) == PAGE.read_text().count("```") // 2, "a block is not marked"
    begin = next(index for index, (wants, _, _) in enumerate(found) if wants == "node")
    for wants, _, text in found[:begin]:
        do(tmp_path, wants, text)
    settings = yaml.safe_load((tmp_path / "config.yaml").read_text())
    with running(tmp_path, settings) as node:
        for wants, _, text in found[begin + 1 :]:
            if wants == "file config.yaml":
                node.configure(yaml.safe_load(text))
                assert node.ask("POST", "/reload")[0] == 200
            else:
                do(tmp_path, wants, text)


def do(folder: Path, wants: str, text: str) -> None:
    """Do what a block is marked with: `file NAME`, or `run CODE: what is in its output|...`."""
    what, _, rest = wants.partition(" ")
    if what == "file":
        (folder / rest).write_text(text)
        return
    code, _, told = rest.partition(": ")
    ended, output = run(folder, text)
    assert ended == int(code), output
    assert any(part in output for part in told.split("|")), output


def test_the_example_works(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "handlers"
    (tmp_path / "areas.py").write_text((folder / "areas.py").read_text())
    with running(tmp_path, yaml.safe_load((folder / "config.yaml").read_text())) as node:
        job = node.await_status(node.submit("AREA", {"width": 20, "depth": 30, "price": 2}))
        assert job["output"] == {"area": 600.0, "total": 1200.0}
        status, answer = node.ask("POST", "/job/create", {"event": "COUNT", "form_body": [1, 2, 3]})
        assert status == 200, answer
        job = node.await_status(answer["task_id"])
        assert (job["output"], json.dumps(job["notes"]).count("100 % counting")) == (6, 1)
