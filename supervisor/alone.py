"""One room by hand, in the foreground, without a parent: `child_process` and `child_execs_process`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING

from job_item.plainlog import PlainLog
from job_item.state import StateFolder
from supervisor.enrolment import enrol
from supervisor.listen import bind, url_of
from supervisor.notify import take_wish
from supervisor.start import keep_answer, log_of, node_of, refuse_faults, refuse_own_faults, start_of
from supervisor.tables import ENTRIES, Room

if TYPE_CHECKING:
    from job_item.load import Loaded


def run_worker(loaded: Loaded, environ: MutableMapping[str, str], entry: str = ENTRIES[Room.WORKER]) -> int:
    """Run the job child alone, with a socket of its own; returns its exit code. Raises NodeError as the node does."""
    folder = _prepare(loaded)
    with ExitStack() as stack:
        # It is the node of this folder as far as others can see, so it holds the node's lock too.
        stack.callback(folder.lock("node").release)
        loaded, log = _settle(loaded, environ)
        keep_answer(loaded, log)
        listener = stack.enter_context(bind(loaded.settings.api))
        start = start_of(loaded, environ, url_of(listener), None, log)
        folder.write_node(node_of(start, os.getpid(), time.time()))
        code = _exit_code(lambda: _main(entry)(start, None, listener))
        folder.remove_node()
    return code


def run_execs(loaded: Loaded, environ: MutableMapping[str, str], entry: str = ENTRIES[Room.EXECS]) -> int:
    """Run the execs child alone; returns its exit code. Raises NodeError as the node does.

    Its commands find the API of the node, or of the job child, that runs on the same folder; else where the settings
    would put it.
    """
    folder = _prepare(loaded)
    loaded, log = _settle(loaded, environ)
    node = folder.read_node()
    api = loaded.settings.api
    start = start_of(loaded, environ, node.url if node else f"http://{api.host}:{api.port}", None, log)
    return _exit_code(lambda: _main(entry)(start, None))


def _prepare(loaded: Loaded) -> StateFolder:
    refuse_own_faults(loaded)
    folder = StateFolder(loaded.state_dir)
    folder.prepare()
    return folder


def _settle(loaded: Loaded, environ: MutableMapping[str, str]) -> tuple[Loaded, PlainLog]:
    """The settings in full, with what a Job Manager says, and the log that goes with them."""
    loaded = enrol(loaded, environ, log_of(loaded, environ))
    take_wish(environ, os.getpid())  # what a service manager has set is not for jobs; the whole node answers it
    log = log_of(loaded, environ)
    refuse_faults(loaded, log)
    return loaded, log


def _main(entry: str) -> Callable[..., None]:
    module, _, name = entry.partition(":")
    main: Callable[..., None] = getattr(import_module(module), name)
    return main


def _exit_code(run: Callable[[], None]) -> int:
    """A room ends its process itself; catch that, so that what was set up here is put away."""
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
