"""How fast and how small the node is, measured beside what the machine and its peers can do: `python -m benchmarks`.

Each module named after a subject has `measure(tier)`, which starts what it needs, measures in several rounds, gives the
figures with their targets and leaves nothing running. Figures are never a test: a target that is missed is shown, not
failed.
"""
