"""The ReefGuide example as a newcomer runs it: init.sh, start.sh, jobs, a handler that is edited, Ctrl-C."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.storage import open_storage
from tests.conftest import ROOT, eventually, free_port
from tests.nodes import is_alive, tree_of

EXAMPLE = ROOT / "examples/reefguide"
INPUT = {"region": "lizard", "reef_type": "slopes", "x_dist": 0, "y_dist": 0, "threshold": 90}


def load(name: str) -> ModuleType:
    """A file of the example that stands for itself."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"worker/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """All of it, started, in a folder that was made by init.sh."""
    environ = {**os.environ, "VENV": sys.prefix}
    subprocess.run(["sh", EXAMPLE / "init.sh", folder], env=environ, check=True, stdout=subprocess.DEVNULL, timeout=180)
    settings = (folder / ".env").read_text()
    for port in (5000, 9000):
        settings = settings.replace(f":{port}\n", f":{free_port()}\n")
    (folder / ".env").write_text(settings)
    for name, value in (("MINIO_USERNAME", "minioadmin"), ("MINIO_PASSWORD", "minioadmin")):
        monkeypatch.setenv(name, value)
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(["sh", EXAMPLE / "start.sh", folder], env=environ, stdout=out, stderr=out)
    try:
        yield process
    finally:
        below = tree_of(process.pid)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(90)
        finally:
            for pid in filter(is_alive, below):
                os.kill(pid, signal.SIGKILL)


def submit(folder: Path, job_type: str, payload: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "examples.reefguide.submit", folder, job_type, json.dumps(payload)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def told(asked: subprocess.Popen[str]) -> dict[str, str]:
    """What a client was told, by the first word of each line."""
    output, _ = asked.communicate(timeout=180)
    assert asked.returncode == 0, output
    return {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in output.splitlines()}


def fetch(uri: str, endpoint: str, folder: Path) -> Any:
    storage, _, name = uri.rpartition("/")
    file = open_storage(storage, region="ap-southeast-2", endpoint=endpoint).download(name, folder / name)
    return json.loads(file.read_text())


@pytest.mark.timeout(900)
def test_the_example_serves_its_types_and_takes_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with example(tmp_path, monkeypatch) as process:
        out = tmp_path / "out"
        eventually(lambda: "Ctrl-C ends all" in out.read_text(), within_s=180, what="all is started")
        trial = submit(tmp_path, "TEST", {"id": 1})
        said = told(submit(tmp_path, "SUITABILITY_ASSESSMENT", INPUT))
        assert json.loads(said["result"]) == {"geojson_path": "suitable.geojson"}
        endpoint = next(line.split()[1] for line in out.read_text().splitlines() if line.startswith("S3 "))
        found = fetch(said["file"].split()[0], endpoint, tmp_path)
        check(found, load("raster"), load("outline"))

        handler = tmp_path / "suitability.py"
        handler.write_text(handler.read_text().replace('"suitable.geojson"', '"edited.geojson"'))
        asked = iter(range(100))
        eventually(lambda: "edited" in ask_again(tmp_path, next(asked)), within_s=180, what="the edit is in force")
        assert json.loads(told(trial)["result"]) == {}
        below = tree_of(process.pid)
    assert process.returncode == 0
    eventually(lambda: not any(map(is_alive, below)), within_s=60, what="nothing is left")


def ask_again(folder: Path, number: int) -> str:
    """The API gives the same job again for the same input."""
    return told(submit(folder, "SUITABILITY_ASSESSMENT", {**INPUT, "x_dist": number + 1}))["result"]


def check(found: dict[str, Any], raster: ModuleType, outline: ModuleType) -> None:
    """Whether the areas hold just the cells above the threshold."""
    made = raster.make()
    suitable = {(x, y) for x, y, value in made.cells() if value >= INPUT["threshold"]}
    assert sum(feature["properties"]["cells"] for feature in found["features"]) == len(suitable) > 100
    for feature in found["features"]:
        outer, *holes = feature["geometry"]["coordinates"]
        assert outer[0] == outer[-1]
        assert feature["properties"]["mean"] >= INPUT["threshold"]
        size = outline.size(outer) + sum(map(outline.size, holes))
        assert size / made.cell**2 == pytest.approx(feature["properties"]["cells"], rel=0.01)
    assert any(len(feature["geometry"]["coordinates"]) > 1 for feature in found["features"]), "an area with a lagoon"


CELLS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1)


@given(CELLS)
def test_an_outline_holds_its_cells_and_no_ring_touches_itself(cells: set[tuple[int, int]]) -> None:
    outline = load("outline")
    parts = list(outline.areas(cells))
    assert set().union(*parts) == cells
    assert sum(map(len, parts)) == len(cells)
    for area in parts:
        outer, *holes = outline.rings(area)
        assert outline.size(outer) + sum(map(outline.size, holes)) == len(area)
        assert outline.size(outer) > 0 > max(map(outline.size, holes), default=-1)
        for ring in (outer, *holes):
            assert ring[0] == ring[-1]
            assert len(set(ring)) == len(ring) - 1
