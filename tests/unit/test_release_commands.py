"""`job_item release`: what whoever makes releases does with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from job_item.errors import NodeError
from supervisor.cli.release import app


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def failure(*words: object) -> NodeError:
    error = run(*words).exception
    assert isinstance(error, NodeError)
    return error


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    file = tmp_path / "job_item.pyz"
    file.write_bytes(b"#!/usr/bin/env python3\n" * 1000)
    return file


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    assert run("key", file).exit_code == 0
    return file


def test_what_one_has_signed_the_other_verifies(artifact: Path, key: Path) -> None:
    signed = run("sign", artifact, "--key", key, "--version", "1.2.3", "--sequence", 5, "--channel", "beta")
    assert signed.exit_code == 0 and "version 1.2.3, sequence 5, 23000 bytes" in signed.output
    public = run("key", "--show", key).output.strip()
    shown = run("verify", f"{artifact}.release", "--key", public, "--json")
    assert shown.exit_code == 0, shown.output
    release = json.loads(shown.output)
    assert (release["version"], release["channel"], release["artifact"]) == ("1.2.3", "beta", "job_item.pyz")


def test_each_release_has_a_higher_sequence_by_itself(artifact: Path, key: Path) -> None:
    run("sign", artifact, "--key", key, "--version", "1.2.3")
    first = int(Path(f"{artifact}.release").read_bytes().partition(b'"sequence":')[2].partition(b",")[0])
    assert first > 1_700_000_000


def test_an_artifact_that_was_changed_after_it_was_signed_is_found(artifact: Path, key: Path) -> None:
    run("sign", artifact, "--key", key, "--version", "1.2.3")
    artifact.write_bytes(artifact.read_bytes()[:-1])
    public = run("key", "--show", key).output.strip()
    assert failure("verify", f"{artifact}.release", "--key", public).code == "ERR-REL-011"


def test_what_cannot_be_released_is_refused(artifact: Path, key: Path) -> None:
    assert run("sign", artifact, "--key", key, "--version", "1.2.3-rc1").exit_code == 2
    assert failure("sign", artifact.with_name("none"), "--key", key, "--version", "1.2").code == "ERR-REL-019"
    assert failure("sign", artifact, "--key", artifact, "--version", "1.2").code == "ERR-REL-016"
    assert failure("key", key).code == "ERR-REL-016"
