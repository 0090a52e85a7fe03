"""What the node says to the person who started it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from job_item.link import ChildStart
from job_item.settings import Settings
from supervisor.greeting import greeting


def start(config_path: Path, *events: str) -> ChildStart:
    settings = Settings.model_validate({"jobs": [{"event": event, "cmd": "true"} for event in events]})
    here = config_path.parent
    return ChildStart(settings, config_path, here, here, "me", "first", {}, "http://127.0.0.1:81", 1, 0.0)


def on_path(found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: found)


def test_it_says_where_the_api_and_its_documentation_are(tmp_path: Path) -> None:
    words = greeting(start(tmp_path / "config.yaml")).split()
    assert {"http://127.0.0.1:81", "http://127.0.0.1:81/docs"} <= set(words)
    assert "submit" not in words


def test_the_command_to_try_is_the_first_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    on_path("/usr/bin/job_item", monkeypatch)
    assert greeting(start(tmp_path / "config.yaml", "hello", "other")).endswith(" job_item submit hello --follow")


@pytest.mark.parametrize(
    ("argv", "command"),
    [(".venv/bin/job_item", ".venv/bin/job_item"), ("/lib/supervisor/__main__.py", f"{sys.executable} -m supervisor")],
)
def test_the_command_to_try_can_be_typed_as_it_stands(
    argv: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(None, monkeypatch)
    monkeypatch.setattr(sys, "argv", [argv])
    config = tmp_path / "my config.yaml"
    assert greeting(start(config, "a-b")).endswith(f" {command} --config '{config}' submit a-b --follow")
