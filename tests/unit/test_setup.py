"""The set-up holds together: locks, version, Makefile, generated pages, the sample configuration."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import job_item
from job_item.exits import Exit
from job_item.settings import Settings
from supervisor.helps import FOLDER
from tests.conftest import ROOT
from tools import cli_page, errors_page

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-docs.lock", "requirements-peers.lock")
IMPORT_NAMES = {"nats-py": "nats", "pyyaml": "yaml"}
"""Distributions whose import name is another."""

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The distribution that a requirement asks for."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return normal(match[0])


def entries(lock: str) -> dict[str, str]:
    """The pinned distributions of a lock file: name -> its whole entry, hashes included."""
    text = (ROOT / lock).read_text()
    found = re.findall(r"^([A-Za-z0-9][^\s=]*==(?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    return {name_of(entry): entry for entry in found}


def version_of(entry: str) -> str:
    return entry.split(maxsplit=1)[0].split("==")[1]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, flags=re.MULTILINE), "options such as --index-url"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_of_a_lock_has_hashes(lock: str) -> None:
    assert len(entries(lock)) >= 5
    assert [name for name, entry in entries(lock).items() if "--hash=sha256:" not in entry] == []


def test_the_lock_holds_what_the_project_and_its_build_ask_for() -> None:
    asked = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    assert {name_of(requirement) for requirement in asked} <= set(entries("requirements.lock"))


def test_what_the_rooms_import_is_what_the_project_depends_on() -> None:
    imported = {name.split(".")[0] for path in tracked("*.py") for name in imported_by(path)}
    foreign = imported - sys.stdlib_module_names - {"job_item", "supervisor", "worker", "execs", "pydantic_core"}
    asked = {IMPORT_NAMES.get(name, name) for name in map(name_of, PROJECT["project"]["dependencies"])}
    extras = {"opentelemetry", "sentry_sdk"}
    assert foreign - extras <= asked, "an extra is imported when asked for"
    assert asked - foreign == set()


def imported_by(path: Path) -> Iterator[str]:
    """The dotted names of the modules that a file imports; uvicorn's own module for httptools stands for httptools."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module
                if module == "uvicorn.protocols.http.httptools_impl":
                    yield "httptools"


def test_the_dev_lock_adds_tools_and_changes_nothing() -> None:
    runtime, dev = entries("requirements.lock"), entries("requirements-dev.lock")
    assert {name: version_of(entry) for name, entry in runtime.items()}.items() <= {
        name: version_of(entry) for name, entry in dev.items()
    }.items()
    assert {name_of(requirement) for requirement in PROJECT["dependency-groups"]["dev"]} <= set(dev)


def test_the_build_backend_is_the_same_in_all_places() -> None:
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "job_item/__init__.py"
    holders = [path for path in tracked("*.py", "*.toml", "*.yaml") if f'"{job_item.__version__}"' in path.read_text()]
    assert holders == [ROOT / "job_item" / "__init__.py"]


def tracked(*patterns: str) -> list[Path]:
    """The files of the rooms and of the top folder that match."""
    folders = [ROOT / room for room in ("job_item", "supervisor", "worker", "execs")]
    return [
        path for pattern in patterns for path in [*ROOT.glob(pattern), *(p for f in folders for p in f.rglob(pattern))]
    ]


def test_bare_make_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony
    shown = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    for target in phony[1].split():
        assert re.search(rf"make {target} +\S+", shown), target


def test_make_run_starts_the_node_with_the_config_of_the_repository() -> None:
    plan = subprocess.run(["make", "-C", ROOT, "-n", "run"], capture_output=True, text=True, check=True).stdout
    assert "exec .venv/bin/job_item --config config.yaml" in plan


def test_the_page_of_error_codes_is_up_to_date() -> None:
    assert errors_page.PAGE.read_text() == errors_page.page(), "run `make docs`"


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    page = cli_page.PAGE.read_text()
    assert page == cli_page.page(), "run `make docs`"
    kept = {file: file.read_text() for file in FOLDER.iterdir()}
    assert kept == cli_page.helps(), "run `make docs`"
    assert set(cli_page.EXITS) == set(Exit)
    assert "`job_item execs restart`" in page


def test_the_sample_configuration_is_valid_and_needs_no_server() -> None:
    settings = Settings.model_validate(yaml.safe_load((ROOT / "config.yaml").read_text()))
    assert settings.end_point == "" and settings.broker_connection is None
    assert len(settings.jobs) >= 5 and len(settings.execs) == 1
    assert "{{" not in str(settings.jobs[0].cmd), "the first sample job succeeds without parameters"
