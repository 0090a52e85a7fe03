"""Machines laid out in a folder: what `/proc`, `/sys` and `/etc` say there is what a test wants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

BOOT_ID = "0B3C8A5E-1111-2222-3333-444455556666"
MEMINFO = """\
MemTotal:        1000000 kB
MemFree:          200000 kB
MemAvailable:     600000 kB
Buffers:           50000 kB
Cached:           300000 kB
SwapCached:            1 kB
Active:           400000 kB
Inactive:         100000 kB
Writeback:             2 kB
WritebackTmp:          9 kB
Dirty:                 3 kB
AnonPages:             7 kB
Mapped:                4 kB
Shmem:             12345 kB
Slab:              80000 kB
SReclaimable:      60000 kB
SUnreclaim:        20000 kB
PageTables:            5 kB
CommitLimit:      700000 kB
Committed_AS:     650000 kB
SwapTotal:        500000 kB
SwapFree:         400000 kB
VmallocTotal:   34359738 kB
VmallocUsed:           6 kB
VmallocChunk:          8 kB
AnonHugePages:     10240 kB
HugePages_Total:      11
HugePages_Free:       10
HugePages_Rsvd:        9
HugePages_Surp:        8
Hugepagesize:       2048 kB
"""
STAT = """\
cpu  30 0 30 130 10 0 0 0 4 0
cpu0 10 0 10 70 10 0 0 0 2 0
cpu1 20 0 20 60 0 0 0 0 2 0
intr 1
btime 1700000000
"""
NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0
  eth0:2000 2 3 0 0 0 0 0 4000 4 5 0 0 0 0 0
vethab1: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
"""
USUAL: Mapping[str, str] = {
    "proc/meminfo": MEMINFO,
    "proc/stat": STAT,
    "proc/net/dev": NET_DEV,
    "proc/uptime": "1000.50 2000.00\n",
    "proc/sys/kernel/random/boot_id": f"{BOOT_ID}\n",
    "proc/1/stat": "1 (a) b) S 0 0 0 0 0 0 0 0 0 0 250 150 0 0 0 0 1 0 5 4096 3\n",
    "proc/17/stat": "",
    "etc/debian_version": "12.4\n",
}


def lay_out(folder: Path, files: Mapping[str, str] = {}) -> Path:
    """Make a machine: the usual one with `files` added or replaced."""
    for name, text in {**USUAL, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
