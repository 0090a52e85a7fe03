"""Words that every room of the node shares, and what job authors import.

Importing this package costs nothing: keepers run with a bare interpreter and import it too, so nothing heavier than
this docstring may stand here.
"""

__version__ = "0.1.0"
