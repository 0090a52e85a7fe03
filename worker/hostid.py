"""The id of this machine, as `_who` tells it (protocol job-item.md, section 8.1)."""

from __future__ import annotations

from pathlib import Path

_MACHINE_ID_LENGTH = 32


def host_id(root: Path = Path("/")) -> str:
    """The id of the host as the Go worker computes it on Linux; empty where nothing tells one."""
    product = _first_line(root / "sys/class/dmi/id/product_uuid")
    if product:
        return product.lower()
    machine = _first_line(root / "etc/machine-id")
    if len(machine) == _MACHINE_ID_LENGTH:
        return "-".join((machine[:8], machine[8:12], machine[12:16], machine[16:20], machine[20:]))
    return _first_line(root / "proc/sys/kernel/random/boot_id")


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""
