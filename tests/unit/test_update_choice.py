"""Which version a start runs, with what lies in the folder of versions: whatever is wrong there, the node starts."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from job_item import __version__
from job_item.errors import NodeError
from job_item.load import Loaded, load
from job_item.plainlog import PlainLog
from job_item.release.keys import make_key, sign
from job_item.release.marker import TRIES_MAX, Marker, Staged
from job_item.release.shelf import Shelf
from job_item.release.version import is_version
from job_item.updatespec import Update
from supervisor.choice import choose
from supervisor.start import log_of
from supervisor.succession import GUARDED_VARIABLE
from supervisor.updating import Target, look_at
from tests.releases import RELEASE


class Bench:
    """A state folder with versions, and the settings of its node."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "key"
        public = make_key(self.key)
        config = folder / "config.yaml"
        config.write_text(f"update: {{public_key: {public}}}\n")
        self.loaded: Loaded = load(config, {})
        self.log: PlainLog = log_of(self.loaded, {})
        self.shelf = Shelf(self.loaded.state_dir)

    def put(self, version: str) -> Staged:
        """Have a version there, signed."""
        artifact = f"artifact {version}".encode()
        release = replace(RELEASE, version=version, size=len(artifact), sha256=hashlib.sha256(artifact).hexdigest())
        with self.shelf.locked(), self.shelf.draft(version) as draft:
            (draft / "job_item.pyz").write_bytes(artifact)
            (draft / "release").write_bytes(sign(release, self.key))
        return Staged(version, release.sha256)

    def choose(self) -> str | None:
        """The version that a start runs; None for the one that was installed."""
        marker = choose(self.loaded, {}, self.log)
        return marker.current.version if marker is not None and marker.current is not None else None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_our_own_version_can_be_compared() -> None:
    assert is_version(__version__)


def test_a_version_that_was_taken_is_run_and_each_try_is_counted_before_it_is_made(bench: Bench) -> None:
    assert bench.choose() is None
    bench.shelf.write(Marker().stage(bench.put("9.0"), 1, 60.0, 1.0))
    for tries in range(1, TRIES_MAX + 1):
        assert bench.choose() == "9.0"
        assert bench.shelf.read().tries == tries
    assert bench.choose() is None
    last = bench.shelf.read().last
    assert last is not None and last.result == "fell back" and "3 times" in last.reason


def test_a_confirmed_version_is_run_as_often_as_one_likes(bench: Bench) -> None:
    bench.shelf.write(Marker(bench.put("9.0"), is_confirmed=True))
    assert [bench.choose() for _ in range(5)] == ["9.0"] * 5


def test_what_was_installed_wins_where_it_is_as_new(bench: Bench) -> None:
    bench.shelf.write(Marker(bench.put(__version__), is_confirmed=True))
    assert bench.choose() is None


def test_without_a_key_or_below_a_guard_nothing_is_chosen(bench: Bench) -> None:
    bench.shelf.write(Marker(bench.put("9.0"), is_confirmed=True))
    assert choose(bench.loaded, {GUARDED_VARIABLE: str(os.getppid())}, bench.log) is None
    off = replace(
        bench.loaded, settings=bench.loaded.settings.model_copy(update={"update": type(bench.loaded.settings.update)()})
    )
    assert choose(off, {}, bench.log) is None


@pytest.mark.parametrize("harm", ["changed", "gone", "unsigned", "another's"])
def test_a_version_that_is_not_what_was_signed_is_given_up_for_the_one_before(
    bench: Bench, harm: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before, current = bench.put("9.0"), bench.put("9.1")
    bench.shelf.write(Marker(current, before, is_confirmed=True))
    artifact, release = bench.shelf.artifact("9.1"), bench.shelf.release("9.1")
    match harm:
        case "changed":
            artifact.write_bytes(b"artifact 9.2")
        case "gone":
            artifact.unlink()
        case "unsigned":
            release.unlink()
        case _:
            make_key(tmp_path / "other")
            release.write_bytes(sign(replace(RELEASE, version="9.1", sha256=current.sha256), tmp_path / "other"))
    assert bench.choose() == "9.0"
    assert bench.shelf.read().current == before
    assert "ERR-REL-017" in capfd.readouterr().err
    bench.shelf.artifact("9.0").unlink()
    assert bench.choose() is None


def test_a_marker_that_cannot_be_read_does_not_keep_the_node_from_starting(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.shelf.write(Marker())
    (bench.shelf.folder / "current.json").write_text("{")
    assert bench.choose() is None
    assert "ERR-REL-018" in capfd.readouterr().err


def test_without_a_key_nothing_is_asked_for(tmp_path: Path) -> None:
    target = Target(Update(), tmp_path / "config.yaml", tmp_path, "node")
    with pytest.raises(NodeError) as refused:
        look_at(target, "https://192.0.2.1/release")
    assert refused.value.code == "ERR-REL-001"
