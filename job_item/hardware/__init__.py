"""What this machine is and has: host, processors, memory, disk, network (protocol job-item.md, section 8).

Each query raises `Unknown` where the machine does not tell; whoever asks reports that and goes on. Every query takes
the folder that stands for `/`, so that tests can lay out a machine of their own.
"""

from job_item.hardware.query import Unknown, ask

__all__ = ["Unknown", "ask"]
