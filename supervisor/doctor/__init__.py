"""What guarantees this host gives, and what is wrong with the node's surroundings: one line for each thing looked at.

Nothing is changed: probes write into files that vanish by themselves.
"""
