"""docs/api.md: its tables are those of the code, and its examples work as written against a real node."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from tests.conftest import eventually
from tests.nodes import Node, running
from tools.api_page import PAGE, fill_in

TEXT = PAGE.read_text()
TOKEN = "let-me-in"


def blocks(mark: str) -> list[str]:
    """The fenced blocks behind a mark."""
    return re.findall(rf"^<!-- {mark} -->\n```\w+\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def run(node: Node, script: str) -> list[str]:
    """Run lines of the page in one shell; gives what each block printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("127.0.0.1:8080", f"127.0.0.1:{node.port}")],
        cwd=node.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split("\n=====\n")


def test_the_tables_are_those_of_the_code() -> None:
    assert fill_in(TEXT) == TEXT, "make docs"
    assert "| `POST /job/create` |" in TEXT
    assert "102400 bytes" in TEXT


def test_the_examples_of_the_page_work_as_written(tmp_path: Path) -> None:
    (config,) = blocks("config")
    settings = yaml.safe_load(config)
    settings["api"]["port"] = 0
    with running(tmp_path, settings) as node:
        said = run(node, "\nprintf '\\n=====\\n'\n".join(blocks("run")))
        who, error, jobs, ended, output, resumed, notes, shared = said
        assert '"jobs":[]' in who
        shown = re.search(r"```json\n(.*?)```", TEXT, flags=re.DOTALL)
        assert shown is not None
        assert json.loads(error) == json.loads(shown[1])
        assert jobs.count('"task_id":"hello-1"') == 4
        assert '"long-1"' in ended
        assert 'event: output\ndata: {"attempt": 1, "offset": 0, "stream": "stdout", "text": "Hello, Ada\\n"}' in output
        assert output.endswith("Hello, Ada\nAda\nHello")
        assert '"text": "Ada\\n"' in resumed
        assert '"msg": "half of it is done"' in notes
        assert 'event: end\ndata: {"status": "finish"' in notes
        assert shared.endswith('"data":["one","two"]}')

        def is_ended() -> bool:
            return bool(node.get(f"/t/{TOKEN}/jobs/long-1")[1]["status"] == "timeout")

        eventually(is_ended, within_s=60)
