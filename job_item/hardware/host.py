"""Who this machine is: the object of protocol section 8.1, and the host id that is the payload of `T_who`."""

from __future__ import annotations

import math
import os
import socket
import time
from pathlib import Path

from job_item.hardware.platform import Platform, platform_of
from job_item.hardware.query import ROOT, ask, first_line
from job_item.hardware.virtualization import Virtualization, virtualization_of

_MACHINE_ID_LENGTH = 32


def host_information(root: Path = ROOT) -> dict[str, str | int]:
    """The members of `listen_host_information` (protocol 8.1). Raises `Unknown`."""
    return ask("host", lambda: _information(root))


def host_id(root: Path = ROOT) -> str:
    """The id of the host as gopsutil 3.24.1 computes it on Linux (protocol 8.1); empty where nothing tells one.

    The product's UUID in lower case where it can be read, else the machine id with dashes, as it is written, else the
    id of this boot.
    """
    product = first_line(root / "sys/class/dmi/id/product_uuid")
    if product:
        return product.lower()
    machine = first_line(root / "etc/machine-id")
    if len(machine.encode()) == _MACHINE_ID_LENGTH:
        return "-".join((machine[:8], machine[8:12], machine[12:16], machine[16:20], machine[20:]))
    return first_line(root / "proc/sys/kernel/random/boot_id").lower()


def _information(root: Path) -> dict[str, str | int]:
    system = os.uname()
    platform: Platform = platform_of(root)
    virtual: Virtualization = virtualization_of(root)
    return {
        "hostname": socket.gethostname(),
        "uptime": math.ceil(time.clock_gettime(time.CLOCK_BOOTTIME)),  # as sysinfo(2) rounds it
        "bootTime": _boot_time(root, virtual),
        "procs": sum(name.isdigit() for name in os.listdir(root / "proc")),  # noqa: PTH208 - names are enough
        "os": system.sysname.lower(),
        "platform": platform.name,
        "platformFamily": platform.family,
        "platformVersion": platform.version,
        "kernelVersion": system.release,
        "kernelArch": system.machine,
        "virtualizationSystem": virtual.system,
        "virtualizationRole": virtual.role,
        "hostId": host_id(root),
    }


def _boot_time(root: Path, virtual: Virtualization) -> int:
    """Seconds since the epoch; within a container of its own uptime that is what counts, as in gopsutil."""
    if virtual.has_own_uptime:
        return int(time.time() - float(first_line(root / "proc/uptime").split()[0]))
    stat = (root / "proc/stat").read_text().split("\n")
    return next(int(line.split()[1]) for line in stat if line.startswith("btime "))
