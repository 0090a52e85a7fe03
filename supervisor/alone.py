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
from supervisor.listen import bind, url_of
from supervisor.notify import take_wish
from supervisor.start import log_of, node_of, refuse_faults, start_of
from supervisor.tables import ENTRIES, Room

if TYPE_CHECKING:
    from job_item.load import Loaded


def run_worker(loaded: Loaded, environ: MutableMapping[str, str], entry: str = ENTRIES[Room.WORKER]) -> int:
    """Run the job child alone, with a socket of its own; returns its exit code. Raises NodeError as the node does."""
    log = log_of(loaded, environ)
    take_wish(environ, os.getpid())  # what a service manager has set is not for jobs; the whole node answers it
    folder = _prepare(loaded, log)
    with ExitStack() as stack:
        # It is the node of this folder as far as others can see, so it holds the node's lock too.
        stack.callback(folder.lock("node").release)
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
    log = log_of(loaded, environ)
    take_wish(environ, os.getpid())  # what a service manager has set is not for jobs; the whole node answers it
    folder = _prepare(loaded, log)
    node = folder.read_node()
    api = loaded.settings.api
    start = start_of(loaded, environ, node.url if node else f"http://{api.host}:{api.port}", None, log)
    return _exit_code(lambda: _main(entry)(start, None))


def _prepare(loaded: Loaded, log: PlainLog) -> StateFolder:
    refuse_faults(loaded, log)
    folder = StateFolder(loaded.state_dir)
    folder.prepare()
    return folder


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
