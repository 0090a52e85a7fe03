"""The first module that the forkserver imports: from then on it dies with the node, in the midst of its imports too.

Its own leash is held by all its children as well: one that is stopped would keep it, and it them, when the node dies.
"""

import signal

from job_item.process import signal_when_orphaned

signal_when_orphaned(signal.SIGKILL)
