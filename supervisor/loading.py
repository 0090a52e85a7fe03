"""Imported by the forkserver before the rooms: until `supervisor.freeze` it looks for no garbage.

What modules make while they are imported stays, nearly all of it; to look through it again and again costs up to 0.1 s
of processor time at each start of a node.
"""

import gc

gc.disable()
