"""How the memory is used: protocol section 8.3, from `/proc/meminfo`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from job_item.hardware.query import ROOT, ask

_UNKNOWN = ("wired", "laundry", "writeBackTmp")
"""Members that stay 0: two are of other systems, the third the original looks for under a misspelt key."""

_BYTES: Mapping[str, str] = MappingProxyType(
    {
        "total": "MemTotal",
        "available": "MemAvailable",
        "free": "MemFree",
        "active": "Active",
        "inactive": "Inactive",
        "buffers": "Buffers",
        "writeBack": "Writeback",
        "dirty": "Dirty",
        "shared": "Shmem",
        "slab": "Slab",
        "sreclaimable": "SReclaimable",
        "sunreclaim": "SUnreclaim",
        "pageTables": "PageTables",
        "swapCached": "SwapCached",
        "commitLimit": "CommitLimit",
        "committedAS": "Committed_AS",
        "highTotal": "HighTotal",
        "highFree": "HighFree",
        "lowTotal": "LowTotal",
        "lowFree": "LowFree",
        "swapTotal": "SwapTotal",
        "swapFree": "SwapFree",
        "mapped": "Mapped",
        "vmallocTotal": "VmallocTotal",
        "vmallocUsed": "VmallocUsed",
        "vmallocChunk": "VmallocChunk",
        "hugePageSize": "Hugepagesize",
        "anonHugePages": "AnonHugePages",
    }
)
_PAGES: Mapping[str, str] = MappingProxyType(
    {f"hugePages{name}": f"HugePages_{name}" for name in ("Total", "Free", "Rsvd", "Surp")}
)


def memory(root: Path = ROOT) -> dict[str, int | float]:
    """The members of `listen_mem_information`, bytes but for the percentage and page counts. Raises `Unknown`."""
    return ask("memory", lambda: _memory(root))


def _memory(root: Path) -> dict[str, int | float]:
    pairs = (line.partition(":") for line in (root / "proc/meminfo").read_text().split("\n"))
    told = {key: int(value.split()[0]) for key, colon, value in pairs if colon}
    total = told["MemTotal"] * 1024
    cached = (told.get("Cached", 0) + told.get("SReclaimable", 0)) * 1024
    free = told.get("MemFree", 0) * 1024
    used = total - free - told.get("Buffers", 0) * 1024 - cached
    found: dict[str, int | float] = {
        **{member: told.get(key, 0) * 1024 for member, key in _BYTES.items()},
        **{member: told.get(key, 0) for member, key in _PAGES.items()},
        **dict.fromkeys(_UNKNOWN, 0),
        "cached": cached,
        "used": used,
        "usedPercent": used / total * 100.0,
    }
    if "MemAvailable" not in told:  # kernels before 3.14
        found["available"] = cached + free
    return found
