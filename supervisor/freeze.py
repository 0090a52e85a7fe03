"""The last module that the forkserver imports: what it has by then is shared with all children, for good.

A collection of garbage in a child would otherwise write to every object there is, and so copy 17 MB into each child.
"""

import gc
import runpy  # noqa: F401 - `multiprocess` would import this and the next in every child
import signal

import multiprocess.popen_forkserver  # noqa: F401

from job_item.process import signal_when_orphaned

# Its own leash is held by all its children as well: one that is stopped would keep it, and it them, when the node dies.
signal_when_orphaned(signal.SIGKILL)
gc.collect()
gc.freeze()
