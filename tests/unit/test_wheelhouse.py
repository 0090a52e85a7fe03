"""Which wheels a pyz holds, and where it refuses to run."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.preamble import refuse_elsewhere
from tools.wheelhouse import Pin, Target, gather, read_lock, requires

OLD, NEW = Target(11, "x86_64"), Target(13, "x86_64")


def wheel(folder: Path, name: str, *asked: str) -> Path:
    """A wheel with nothing in it but what it asks for."""
    path = folder / name
    distribution, version = name.split("-")[:2]
    lines = [f"Name: {distribution}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in asked)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{distribution}-{version}.dist-info/METADATA", "\n".join(lines))
    return path


def test_the_lock_is_read_whole() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pins = read_lock(text)
    assert len(pins) == text.count(" \\\n    --hash") - sum(len(pin.hashes) - 1 for pin in pins) > 30
    assert sum(len(pin.hashes) for pin in pins) == text.count("--hash=")
    (timeout,) = [pin for pin in pins if pin.name == "async-timeout"]
    assert timeout.marker == "python_full_version < '3.11.3'"
    assert " ; " not in timeout.line()


def test_what_only_some_releases_of_a_python_need_is_held_for_all_of_them(tmp_path: Path) -> None:
    own = wheel(tmp_path, "own-1-py3-none-any.whl", 'Late ; python_full_version < "3.11.3"', 'x ; extra == "more"')
    assert requires(own, OLD) == {"late"}
    assert requires(own, NEW) == set()


def test_a_wheel_that_the_lock_does_not_pin_is_refused(tmp_path: Path) -> None:
    own = wheel(tmp_path, "own-1-py3-none-any.whl", "part")
    wheel(tmp_path, "part-2-cp311-cp311-manylinux_2_17_x86_64.whl")
    with pytest.raises(ValueError, match=r"part-2.* is not what requirements\.lock pins"):
        gather(tmp_path, own, [Pin("part", "part==2", "", frozenset({"0" * 64}))], [OLD])


@pytest.mark.parametrize(
    ("minors", "machine", "glibc", "reason"),
    [
        (
            [11],
            "sparc64",
            [2, 17],
            "needs Python 3.11 to 3.11 on Linux (sparc64, glibc 2.17 or newer); this is Linux on",
        ),
        ([11], "", [9, 9], "this is Linux with glibc 2."),
        ([98, 99], "", [2, 5], f"this is Python 3.{sys.version_info[1]}."),
    ],
)
def test_a_pyz_says_in_one_sentence_where_it_does_not_run(
    minors: list[int], machine: str, glibc: list[int], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        refuse_elsewhere(minors, machine or os.uname().machine, glibc)
    assert ended.value.code == 69
    said = capsys.readouterr().err
    assert said.startswith("ERR-SUP-015: ")
    assert reason in said


def test_a_pyz_goes_on_where_another_python_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python3.99").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse_elsewhere([99], os.uname().machine, [2, 5])
