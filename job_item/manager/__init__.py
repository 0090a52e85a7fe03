"""The node's side of the Job Manager: its settings are asked for here, read, laid over ours, and kept.

Nothing of this runs in the parent but the values of `state`; what speaks HTTP is loaded when it is used.
"""
