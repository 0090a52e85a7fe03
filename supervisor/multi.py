"""What the node uses of `multiprocess`, imported without dill.

Only plain functions and values go to children, which pickle can do; dill has 4 MB, and multiprocess does without it by
design.
"""

from __future__ import annotations

from job_item.without import without

with without("dill"):
    import multiprocess
    from multiprocess import connection, forkserver, process, resource_tracker

__all__ = ["forkserver", "multiprocess", "process", "resource_tracker", "wait"]

wait = connection.wait
