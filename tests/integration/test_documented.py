"""Every command on a page is typed by a test, or stands in docs/commands.md with the reason.

Blocks are run by the tests of their pages, which know them by their marks. Commands within the text are typed here, all
of them in one folder beside one node.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT, eventually
from tests.nodes import Node, running
from tests.transcripts import BIN, blocks

PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
)
UNTYPED = ROOT / "docs" / "commands.md"
PROGRAMS = r"job_item|make|pip|python|npm|docker|curl|sudo|sh examples/\S+"
SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")

MARKS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "README.md": ("test_readme.py", ("tour", "tour: curl")),
    "docs/api.md": ("test_docs_api.py", ("run",)),
    "docs/handlers.md": ("test_handlers_page.py", ("run", "node")),
    "docs/jobs.md": ("test_jobs_page.py", ("type",)),
    "docs/quickstart.md": ("test_quickstart.py", ("clone", "tour", "node", "own")),
    "docs/scripts.md": ("test_scripts_page.py", ("run",)),
}
"""For each page with commands in blocks: the test that runs them, and the marks by which it knows them."""

ELSEWHERE: Mapping[str, str] = {
    "make": "unit/test_setup.py",
    "make run": "integration/test_clone.py",
    "make manager": "integration/test_broker_make_manager.py",
    "make manager BROKER=rabbitmq": "integration/test_broker_make_manager.py",
    "make > log 2>&1; job_item save --status $? < log": "integration/test_save.py",
    "sh examples/reefguide/init.sh ~/my-worker": "integration/test_example_reefguide.py",
    "sh examples/reefguide/init.sh": "integration/test_example_reefguide.py",
    ".venv/bin/python -m examples.reefguide.submit examples/reefguide/sandbox TEST '{\"id\": 1}'": (
        "integration/test_example_reefguide.py"
    ),
    "npm ci": "javascript.py",
    "python -m examples.job_manager manager.yaml": "jobmanager.py",
    "job_item": "transcripts.py",
    "job_item child_process": "integration/test_outlive.py",
    "job_item child_execs_process": "integration/test_outlive.py",
    "job_item save": "integration/test_scripts_page.py",
    "job_item upload": "integration/test_scripts_page.py",
    "job_item upload FILE...": "integration/test_scripts_page.py",
    "job_item check --connect": "integration/test_cli_manager.py",
    "job_item update --check": "integration/test_update.py",
    "job_item update": "integration/test_update.py",
    "job_item update --apply": "integration/test_update.py",
    "job_item release": "unit/test_release_commands.py",
    "job_item release key": "unit/test_release_commands.py",
    "job_item release key FILE": "unit/test_release_commands.py",
    "job_item release sign": "unit/test_release_commands.py",
    "job_item release verify": "unit/test_release_commands.py",
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 job_item": "integration/test_traces.py",
    "export API_ENDPOINT=http://localhost:5000 JOB_TYPES=TEST": "integration/test_reefguide_alone.py",
}
"""Commands, or the first lines of blocks, with the test that types them in its own words."""

TYPED: Mapping[str, str] = {
    "job_item cancel": 'job_item cancel "$(job_item submit slow)"',
    "job_item config": "job_item config show --help",
    "job_item config schema >config.schema.json": "job_item config schema >config.schema.json && test -s *.schema.json",
    "job_item dead": "job_item dead list",
    "job_item dead drop": "job_item dead drop d1",
    "job_item dead drop TASK_ID": "job_item dead drop d1",
    "job_item dead retry": "job_item dead retry d3",
    "job_item dead retry TASK_ID": "job_item dead retry d3",
    "job_item dead show": "job_item dead show d5",
    "job_item dead show TASK_ID": "job_item dead show d5",
    "job_item doctor": "job_item doctor || test $? = 1",
    "job_item errors CODE": "job_item errors ERR-RUN-001",
    "job_item execs logs": "job_item execs logs ticker",
    "job_item execs restart": "job_item execs restart ticker",
    "job_item execs start": "job_item execs stop third && job_item execs start third",
    "job_item execs start KEY": "job_item execs stop third && job_item execs start third",
    "job_item execs stop": "job_item execs stop other",
    "job_item install-service": "job_item install-service --print",
    "job_item init": "job_item init --config made.yaml --help",
    "job_item logs": "job_item logs d5",
    "job_item logs -f": "job_item logs -f d5",
    "job_item logs TASK_ID": "job_item logs d5",
    "job_item status TASK_ID": "job_item status d5",
    "python -c 'import MODULE'": "python -c 'import json'",
    "job_item submit": "job_item submit hello --wait",
}
"""What is typed for a command that stands for many, or that needs something; all others are typed as they stand."""

SETTINGS = {
    "jobs": [
        {"event": "hello", "cmd": "echo hello"},
        {"event": "slow", "cmd": "sleep 60"},
        {"event": "bad", "cmd": "exit 3", "retries": {"attempts": 2, "backoff": 0}},
    ],
    "execs": [{"key": key, "cmd": "echo up; exec sleep 600"} for key in ("ticker", "other", "third")],
}


@dataclass(frozen=True)
class Place:
    """Where a command stands."""

    page: str
    text: str


def inline() -> Iterator[Place]:
    """The commands within the text of all pages."""
    for page in PAGES:
        if page == UNTYPED:
            continue
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for span in SPAN.finditer(text):
            words = " ".join(span[1].split()).replace("\\|", "|")
            if re.match(rf"({PROGRAMS})( |$)", words):
                yield Place(page.name, words)


def untyped() -> list[str]:
    """The commands that docs/commands.md gives a reason for."""
    found: list[str] = re.findall(r"^\| `([^`]+)` \| \S.{4,} \|$", UNTYPED.read_text(), flags=re.MULTILINE)
    return found


def typed() -> dict[str, str]:
    """For each command that is typed here, as it is typed."""
    left = {place.text for place in inline()} - set(untyped()) - set(ELSEWHERE)
    return {text: TYPED.get(text, text) for text in sorted(left)}


def test_every_block_of_commands_is_run_by_the_test_of_its_page() -> None:
    known = {*untyped(), *ELSEWHERE}
    for page in PAGES:
        test, marks = MARKS.get(str(page.relative_to(ROOT)), ("", ()))
        for block in blocks(page):
            is_run = any(block.mark == mark or block.mark.startswith((f"{mark} ", f"{mark}:")) for mark in marks)
            if block.language in ("bash", "sh", "console") and not is_run:
                first = block.text.splitlines()[0].partition("  #")[0].rstrip()
                assert first in known, f"{page.name}:{block.line}: nobody runs {block.text!r}"
        assert not test or page.name in (ROOT / "tests/integration" / test).read_text(), f"{test} is of another page"


def test_every_block_says_what_it_is_in() -> None:
    for page in PAGES:
        bare = re.findall(r"^```\n((?:job_item|make|python|curl|pip) .*)", page.read_text(), flags=re.MULTILINE)
        assert set(bare) <= set(ELSEWHERE), page


def test_every_command_that_no_test_types_is_on_a_page() -> None:
    pages = "\n".join(" ".join(page.read_text().split()) for page in PAGES if page != UNTYPED)
    assert len(untyped()) > 10
    assert [command for command in untyped() if command not in pages] == []
    assert [command for command in (*ELSEWHERE, *TYPED) if " ".join(command.split()) not in pages] == []
    assert [test for test in ELSEWHERE.values() if not (ROOT / "tests" / test).exists()] == []


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("pages"), SETTINGS) as found:
        for number in range(1, 6):
            found.submit("bad", task_id=f"d{number}")
        for number in range(1, 6):
            found.await_status(f"d{number}")
        eventually(lambda: all(entry["state"] == "running" for entry in found.get("/execs")[1]["execs"]))
        yield found


def type_it(node: Node, words: str) -> str:
    """Type a command in the folder of the node; gives what went wrong."""
    ended = subprocess.run(
        ["bash", "-uc", words],
        cwd=node.folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return f"{words}:\n{ended.stdout}{ended.stderr}" if ended.returncode else ""


@pytest.mark.timeout(900)
def test_every_command_within_the_text_works(node: Node) -> None:
    commands = sorted(set(typed().values()))
    assert len(commands) > 25
    assert {words.split()[0] for words in commands} == {"job_item", "python"}
    with ThreadPoolExecutor(3) as terminals:  # most of the time passes while an interpreter starts
        wrong = [told for told in terminals.map(partial(type_it, node), commands) if told]
    assert not wrong, "\n".join(wrong)


def test_every_file_and_name_of_the_recipes_is_there() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a broker")[2]
    files = set(re.findall(r"`((?:job_item|worker|tools|tests|deploy|supervisor)/[\w/.]+\.\w+)`", recipes))
    assert len(files) > 15
    assert [file for file in sorted(files) if not (ROOT / file).is_file()] == []
    source = "\n".join((ROOT / file).read_text() for file in files if file.endswith(".py"))
    names = set(re.findall(r"`([A-Z][A-Za-z]+|[A-Z_]{4,})`", recipes))
    assert len(names) > 15
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", source)] == []


def test_no_page_is_left_out_of_the_site() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    shown = set(re.findall(r"^([\w-]+)$", index, flags=re.MULTILINE))
    assert shown == {Path(page).stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
