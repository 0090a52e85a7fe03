"""What a new version must be able to do before a node is given to it: say its name, take the settings, run a job.

Each step has a deadline, and whatever it has started is gone at the end.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from job_item.environ import BASE
from job_item.errors import NodeError
from job_item.process import become_subreaper, children_of, pidfd, signal_when_orphaned
from job_item.release.launch import environment, interpreter
from job_item.sdk.answer import shown
from supervisor.clearing import clear_away
from supervisor.ear import Ear

STEP_S = 60.0
"""How long a step may take; the first one unpacks the artifact."""
_EVENT = "trial"
_WORD = "a job on trial"
_SAID_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new version: where its artifact lies, what it is to call itself, and how long each step may take."""

    artifact: Path
    version: str
    step_s: float = STEP_S


def examine(candidate: Candidate, config: Path, state_dir: Path, environ: Mapping[str, str]) -> None:
    """Put a new version to the test. `config` and `state_dir` are those of the node that it is for.

    Raises NodeError: ERR-REL-013 (it has failed), ERR-REL-020 (it keeps the journal in another form).
    """
    become_subreaper()
    spared = frozenset(children_of(os.getpid()))
    try:
        with tempfile.TemporaryDirectory(prefix="job_item-trial-") as name:
            with closing(_Examiner(candidate, Path(name), environ)) as examiner:
                examiner.ask_name()
                examiner.check(config)
                examiner.run_job()
            _compare_journals(_journal(Path(name) / "state"), _journal(state_dir))
    except OSError as error:
        raise NodeError("ERR-REL-013", f"The new version cannot be examined: {error}.") from error
    finally:
        clear_away(spared)


class _Examiner:
    """Runs a candidate in a scratch folder."""

    def __init__(self, candidate: Candidate, folder: Path, environ: Mapping[str, str]) -> None:
        self._candidate = candidate
        self._folder = folder
        self._environ = environment(environ, candidate.artifact)
        bare = {name: value for name, value in environ.items() if name in BASE}
        self._bare = environment(bare, candidate.artifact)
        self._config = folder / "config.yaml"
        self._started: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End what still runs; what that has left behind is not looked for here."""
        for process in self._started:
            process.kill()
            process.wait()

    def ask_name(self) -> None:
        """It is the version that its release says."""
        said = self._run(("--version",), self._bare, "say its version")
        if said.split()[:2] != ["job_item", self._candidate.version]:
            raise _failed(f"calls itself `{shown(said)}`, not version {self._candidate.version}")

    def check(self, config: Path) -> None:
        """It takes the settings that are in force."""
        self._run(("check", "--config", str(config)), self._environ, "take the settings of this node")

    def run_job(self) -> None:
        """A node of it runs a job, and stops when it is told to."""
        settings = {
            "api": {"port": 0},
            "state_dir": str(self._folder / "state"),
            "jobs": [{"event": _EVENT, "cmd": ["echo", _WORD]}],
        }
        self._config.write_text(json.dumps(settings))
        with closing(Ear(self._folder)) as ear:
            node = self._start(("--config", str(self._config)), {**self._bare, "NOTIFY_SOCKET": ear.address}, "node")
            self._await_ready(ear, node)
            words = ("submit", _EVENT, "--follow", "--config", str(self._config))
            said = self._run(words, self._bare, "run a job")
            if _WORD not in said:
                raise _failed(f"ran a job that said `{shown(said)}`")
            node.send_signal(signal.SIGTERM)
            self._await_end(node, "node", "stop")

    def _await_ready(self, ear: Ear, node: subprocess.Popen[bytes]) -> None:
        end_s = time.monotonic() + self._candidate.step_s
        grave = pidfd(node.pid)
        try:
            while (left_s := end_s - time.monotonic()) > 0:
                ready, _, _ = select.select([ear.fileno(), *([] if grave is None else [grave])], [], [], left_s)
                if any("READY=1" in saying.lines for saying in ear.take()):
                    return
                if grave in ready:
                    raise _failed(f"ended before its node was ready{self._said('node')}")
        finally:
            if grave is not None:
                os.close(grave)
        raise _failed(f"was not ready within {self._candidate.step_s:g} s{self._said('node')}")

    def _run(self, words: Sequence[str], environ: Mapping[str, str], what: str) -> str:
        self._await_end(self._start(words, environ, "step"), "step", what)
        return (self._folder / "step").read_text(errors="replace")

    def _start(self, words: Sequence[str], environ: Mapping[str, str], name: str) -> subprocess.Popen[bytes]:
        errors = self._folder / f"{name}.errors"
        with (self._folder / name).open("wb") as output, errors.open("wb") as complaints:
            process = subprocess.Popen(
                [interpreter(), str(self._candidate.artifact), *words],
                cwd=self._folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaints,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no other thread of this process holds anything by now
            )
        self._started.append(process)
        return process

    def _await_end(self, process: subprocess.Popen[bytes], name: str, what: str) -> None:
        try:
            code = process.wait(self._candidate.step_s)
        except subprocess.TimeoutExpired:
            raise _failed(f"did not {what} within {self._candidate.step_s:g} s{self._said(name)}") from None
        if code:
            raise _failed(f"did not {what} (exit code {code}){self._said(name)}")

    def _said(self, name: str) -> str:
        """The end of what a process has written, for a message."""
        files = (self._folder / name, self._folder / f"{name}.errors")
        raw = b"".join(file.read_bytes()[-_SAID_BYTES:] for file in files).decode(errors="replace").strip()
        return f": {shown(raw.splitlines()[-1])}" if raw else ""


def _die_with_parent() -> None:
    """Nothing on trial outlives a kill of whoever tries it. In the child, before it becomes the command."""
    signal_when_orphaned(signal.SIGKILL)


def _journal(state_dir: Path) -> int:
    """The form in which a journal is kept (PRAGMA user_version); 0 where there is none."""
    file = state_dir / "journal.sqlite"
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=STEP_S)) as db:
            (form,) = db.execute("PRAGMA user_version").fetchone()
            return int(form)
    except sqlite3.Error as error:
        raise NodeError("ERR-REL-013", f"The form of the journal cannot be found out: {error}.") from error


def _compare_journals(theirs: int, ours: int) -> None:
    if ours and theirs != ours:
        raise NodeError(
            "ERR-REL-020", f"The new version keeps the journal in form {theirs}, this node has it in form {ours}."
        )


def _failed(why: str) -> NodeError:
    return NodeError("ERR-REL-013", f"The new version {why}.")
