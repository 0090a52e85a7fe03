"""A new version is put to the test before a node is given to it; what it started is gone afterwards."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from job_item import __version__
from supervisor.examination import Candidate
from tests.conftest import ROOT
from tests.nodes import is_alive
from tests.releases import build

NODE = f"""
if "--version" in sys.argv: sys.exit(print("job_item {__version__}"))
if "check" in sys.argv: sys.exit()
if "submit" in sys.argv: JOB
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(600)
"""
NAME = f"print('job_item {__version__}') if '--version' in sys.argv else "
BAD = {
    "calls itself another version": ("print('job_item 0.0.9')", "calls itself `job_item 0.0.9`"),
    "ends at once, with 0": ("sys.exit(0)", "calls itself ``"),
    "crashes": ("os.abort()", "did not say its version \\(exit code -6\\)"),
    "hangs with what it has started": (
        "subprocess.Popen(['setsid', 'sleep', '600']) and time.sleep(600)",
        "did not say its version within 8 s",
    ),
    "refuses the settings": (NAME + "sys.exit('no such setting')", "did not take the settings .* no such setting"),
    "has no node": (NAME + "sys.exit(0)", "ended before its node was ready"),
    "runs no job": (NODE.replace("JOB", "sys.exit('no job')"), "did not run a job \\(exit code 1\\).*no job"),
    "loses what its job says": (NODE.replace("JOB", "sys.exit(print('well'))"), "ran a job that said `well`"),
    "is never ready": (
        NAME + "time.sleep(0 if 'check' in sys.argv else 600)",
        "was not ready within 8 s",
    ),
}


def fake(folder: Path, code: str) -> Path:
    """An artifact that does nothing but what is given."""
    file = folder / "job_item.pyz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__main__.py", f"import os, subprocess, sys, time\n{code}\n")
    return file


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text("jobs: [{event: hello, cmd: echo hi}]\n")
    return file


EXAMINE = """
import json, os, sys
from pathlib import Path
from job_item.errors import NodeError
from supervisor.examination import Candidate, examine
artifact, version, step_s, config, state = sys.argv[1:]
try:
    examine(Candidate(Path(artifact), version, float(step_s)), Path(config), Path(state), os.environ)
except NodeError as error:
    print(json.dumps([error.code, error.message]))
else:
    print(json.dumps(["", ""]))
"""


def examined(candidate: Candidate, config: Path, state: Path, mark: dict[str, str]) -> tuple[str, str]:
    """The code and the words of the refusal, empty where there is none; in a process of its own, as an update is."""
    words = [candidate.artifact, candidate.version, candidate.step_s, config, state]
    ended = subprocess.run(
        [sys.executable, "-c", EXAMINE, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **mark},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ended.returncode == 0, ended
    code, message = json.loads(ended.stdout)
    return code, message


@pytest.mark.parametrize(("code", "words"), BAD.values(), ids=BAD)
def test_a_version_that_fails_is_refused_and_nothing_of_it_is_left(
    code: str, words: str, config: Path, tmp_path: Path
) -> None:
    mark = {"TZ": f"examined-{os.getpid()}-{tmp_path.name}"}
    bound_s = 8.0 if "within 8 s" in words else 60.0
    candidate = Candidate(fake(tmp_path, code), __version__, step_s=bound_s)
    code, message = examined(candidate, config, tmp_path / "state", mark)
    assert code == "ERR-REL-013"
    assert re.search(words, message), message
    assert marked(mark["TZ"]) == []


def test_a_version_that_does_all_of_it_passes_unless_it_keeps_the_journal_differently(
    config: Path, tmp_path: Path
) -> None:
    mark = {"TZ": f"examined-{os.getpid()}"}
    state = tmp_path / "state"
    state.mkdir()
    candidate = Candidate(build(tmp_path / "job_item.pyz", "9.9"), "9.9")
    assert examined(candidate, config, state, mark) == ("", "")
    assert list(state.iterdir()) == [], "a trial has a state folder of its own"
    with sqlite3.connect(state / "journal.sqlite") as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    assert examined(candidate, config, state, mark)[0] == "ERR-REL-020"
    assert marked(mark["TZ"]) == []


def marked(text: str) -> list[int]:
    """All living processes with this text in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and text.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if is_alive(pid)]
