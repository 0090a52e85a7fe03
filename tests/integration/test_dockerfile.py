"""The steps of deploy/Dockerfile, carried out without an engine, and the node that they make, from variables alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.reefguide.api import StandIn
from tests.conftest import ROOT, eventually
from tests.dockerfile import Builder, Stage
from tests.nodes import is_alive, tree_of
from tests.reefguide.nodes import variables

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """All stages. Users are the machine's business: what would make one writes down what it was asked."""
    folder = tmp_path_factory.mktemp("image")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    for name, script in (("useradd", f'echo "$@" >> {folder}/users'), ("install", 'exec mkdir -p "$8" "$9"')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "PIP_NO_COMPILE": "1",
        "PIP_QUIET": "1",
    }
    builder = Builder(folder, ROOT, (ROOT / ".dockerignore").read_text(), environ)
    builder.build((ROOT / "deploy" / "Dockerfile").read_text().replace('COMMIT=""', 'COMMIT="0123456789ab"'))
    return builder


@pytest.fixture(scope="module")
def image(builder: Builder) -> Stage:
    return builder.stages["node"]


def command(image: Stage) -> str:
    """The program of the entry point, as PATH finds it in the image."""
    (name,) = image.entrypoint
    return str(image.place(f"/usr/local/bin/{name}"))


def started_with(image: Stage, more: dict[str, str]) -> dict[str, str]:
    """The environment of a container: what the image says and what it is started with."""
    said = {name: value for name, value in image.environ.items() if name != "COMMIT"}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(image.place("/home/job_item")), **said, **more}


def test_the_image_runs_the_node_as_a_user_of_its_own_and_names_its_commit(builder: Builder, image: Stage) -> None:
    assert image.user == "job_item"
    assert "--uid 10001" in (image.root.parent / "users").read_text()
    assert (image.workdir, image.place("/home/job_item").is_dir()) == ("/home/job_item", True)
    assert "0123456789ab" in subprocess.check_output([command(image), "--version"], text=True)
    assert not image.place("/src").exists(), "what only the build needs"
    assert builder.stages["node"].healthcheck == ["job_item", "status"]


def test_a_container_starts_from_variables_alone_and_is_healthy(image: Stage) -> None:
    with StandIn() as api:
        environ = started_with(image, variables(api, CONFIG_PATH="/data/reefguide/config.toml"))
        probe = [command(image), *image.healthcheck[1:]]

        def is_healthy() -> bool:
            return (
                subprocess.run(probe, env=environ, cwd=image.place("."), capture_output=True, check=False).returncode
                == 0
            )

        assert not is_healthy()
        job = api.store.create("TEST", {"id": 1})
        node = subprocess.Popen([command(image)], cwd=image.place("."), env=environ, stdin=subprocess.DEVNULL)
        try:
            eventually(is_healthy, within_s=120, what="the probe says yes")
            eventually(lambda: job.status == "SUCCEEDED", within_s=120, what="the job succeeds")
            node.send_signal(signal.SIGTERM)
            assert node.wait(60) == 0
        finally:
            if node.poll() is None:
                below = tree_of(node.pid)
                node.kill()
                node.wait()
                eventually(lambda: not any(map(is_alive, below)), within_s=60, what="all of it is gone")
        assert image.place("/var/lib/job_item/journal.sqlite").exists()


def test_the_example_manager_is_a_stage_of_its_own(builder: Builder, image: Stage) -> None:
    (python, *words) = builder.stages["manager"].entrypoint
    ended = subprocess.run(
        [image.place(python), *words], cwd=builder.kept("manager") / "srv", capture_output=True, text=True, check=False
    )
    assert "usage: python -m examples.job_manager manager.yaml" in ended.stderr
