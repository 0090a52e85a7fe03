"""The last module that the forkserver imports: what it has by then is shared with all children, for good.

A collection of garbage in a child would otherwise write to every object there is, and so copy 17 MB into each child.
"""

import gc
import runpy  # noqa: F401 - `multiprocess` would import this and the next in every child

import multiprocess.popen_forkserver  # noqa: F401

gc.collect()
gc.freeze()
