"""`deploy/ecs-task.json` starts the image of deploy/Dockerfile with what the node asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from job_item.load import load
from tests.conftest import ROOT
from tests.dockerfile import instructions

TASK: dict[str, Any] = json.loads((ROOT / "deploy/ecs-task.json").read_text())
(CONTAINER,) = TASK["containerDefinitions"]


def test_its_variables_and_secrets_are_all_that_a_node_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {entry["name"]: entry.get("value", "x@example.org") for entry in CONTAINER["environment"]}
    environ |= {entry["name"]: "x@example.org" for entry in CONTAINER["secrets"]}
    assert not [name for name in ("WORKER_PASSWORD", "WORKER_USERNAME") if name in CONTAINER["environment"]]
    told = {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x", "HOME": str(tmp_path)}
    monkeypatch.chdir(tmp_path)
    settings = load(None, {**environ, **told}).settings
    assert settings.reefguide is not None
    assert float(settings.drain_grace) < CONTAINER["stopTimeout"] <= 120


def test_it_looks_at_the_node_as_the_image_does() -> None:
    steps = instructions((ROOT / "deploy/Dockerfile").read_text())
    options, _, command = next(rest for word, rest in steps if word == "HEALTHCHECK").partition(" CMD ")
    check = CONTAINER["healthCheck"]
    assert ["CMD", *json.loads(command)] == check["command"]
    said = dict(option.removeprefix("--").split("=") for option in options.split())
    names = {"interval": "interval", "timeout": "timeout", "start-period": "startPeriod", "retries": "retries"}
    assert {names[name]: int(value.removesuffix("s")) for name, value in said.items()} == {
        name: value for name, value in check.items() if name != "command"
    }
