"""Many nodes of test children, cheaply: one process that has imported everything forks them.

Their children are forked too. Nothing else in these parents is other than in real ones.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import multiprocess

from job_item.load import Loaded
from job_item.plainlog import PlainLog
from job_item.process import become_subreaper
from job_item.settings import Settings
from supervisor.holdings import Holdings
from supervisor.multi import process
from supervisor.node import prepare
from supervisor.notify import Notifier, Wish
from supervisor.outfit import Outfit
from supervisor.parent import Parent
from supervisor.signals import Signals
from supervisor.tables import Room
from tests.conftest import ROOT


class Forks:
    """Makes children by a plain fork of the parent, in the place of a forkserver."""

    pid: int | None = None

    def __init__(self) -> None:
        self._context = multiprocess.get_context("fork")

    def pipe(self) -> tuple[Any, Any]:
        ours, theirs = self._context.Pipe(duplex=True)
        return ours, theirs

    def make(self, name: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> Any:
        child = self._context.Process(target=_reset, args=(target, arguments), name=name)
        child.start()
        process._children.discard(child)
        return child

    def is_dead(self, within_s: float) -> bool:
        return False


def _reset(target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """A fork has the handlers of the parent."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)
    target(*arguments)


def _be_node(state: Path, worker: str, settings: dict[str, Any]) -> int:
    made = Settings.model_validate({"api": {"port": 0}, "log": {"format": "json"}, **settings})
    loaded = Loaded(made, state / "config.yaml", work_dir=state.parent, state_dir=state)
    entries = {Room.WORKER: f"tests.children:{worker}", Room.EXECS: "tests.children:execs"}
    plan = prepare(loaded, os.environ, entries)
    log = PlainLog(plan.log, room="supervisor", secrets=plan.log.secrets, environ=os.environ)
    signals = Signals()
    signals.install()
    become_subreaper()
    births: Any = Forks()
    code = Parent(plan, Outfit(Holdings(plan), births, signals, frozenset(), log, Notifier(Wish(), log))).run()
    log.info("node.stopped", exit_code=code)
    return code


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _become(request)
    return pid


def _become(request: dict[str, Any]) -> NoReturn:
    code = 99
    try:
        os.setsid()
        log = os.open(Path(request["folder"]) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 0)
        os.closerange(3, 64)
        code = _be_node(Path(request["folder"]) / "state", request["worker"], request["settings"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def main() -> None:
    """Serve until the end of standard input, one request after the other."""
    for line in sys.stdin:
        request = json.loads(line)
        answer = os.waitpid(request["reap"], 0)[1] if "reap" in request else _fork(request)
        print(answer, flush=True)


class Swarm:
    """The side of the test. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.swarm"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Swarm:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=60)

    def start(self, folder: Path, worker: str, settings: dict[str, Any]) -> int:
        """Start a node; returns its pid, which is its own until it is reaped."""
        return self._ask({"folder": str(folder), "worker": worker, "settings": settings})

    def reap(self, pid: int) -> int:
        """The exit code of a node that has ended."""
        return os.waitstatus_to_exitcode(self._ask({"reap": pid}))

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


if __name__ == "__main__":
    main()
