"""Whether this machine is a guest or a host of others, in the words of gopsutil: the last sign that is found counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from job_item.hardware.query import lines

_MODULES = (
    ("kvm", "kvm", "host"),
    ("hv_util", "hyperv", "guest"),
    ("vboxdrv", "vbox", "host"),
    ("vboxguest", "vbox", "guest"),
    ("vmware", "vmware", "guest"),
)
_PROCESSORS = ("QEMU Virtual CPU", "Common KVM processor", "Common 32-bit KVM processor")
_GROUPS = (("lxc", "lxc"), ("docker", "docker"), ("machine-rkt", "rkt"))


class Virtualization(NamedTuple):
    """The system of virtual machines or containers, and this machine's part in it; empty where there is none."""

    system: str = ""
    role: str = ""

    @property
    def has_own_uptime(self) -> bool:
        """Whether `/proc/uptime` is the container's, `/proc/stat` the host's."""
        return self.role == "guest" and self.system in ("lxc", "docker")


def virtualization_of(root: Path) -> Virtualization:
    """Look at all signs in turn; a sign may leave system or role as they are."""
    system, role = "", ""
    for next_system, next_role in _signs(root):
        system, role = next_system or system, next_role or role
    return Virtualization(system, role)


def _signs(root: Path) -> Iterator[tuple[str, str]]:
    proc = root / "proc"
    if (proc / "xen").exists():
        yield "xen", "host" if _says(proc / "xen/capabilities", "control_d") else "guest"
    modules = "\n".join(lines(proc / "modules"))
    yield from [(system, role) for sign, system, role in _MODULES if sign in modules][:1]
    if any(_says(proc / "cpuinfo", name) for name in _PROCESSORS):
        yield "kvm", "guest"
    if _says(proc / "bus/pci/devices", "virtio-pci"):
        yield "", "guest"
    if (proc / "bc/0").exists():
        yield "openvz", "host"
    elif (proc / "vz").exists():
        yield "openvz", "guest"
    if _says(proc / "self/status", "s_context:") or _says(proc / "self/status", "VxID:"):
        yield "linux-vserver", ""
    yield from _containers(root)


def _containers(root: Path) -> Iterator[tuple[str, str]]:
    proc = root / "proc"
    if _says(proc / "1/environ", "container=lxc"):
        yield "lxc", "guest"
    group = next((system for sign, system in _GROUPS if _says(proc / "self/cgroup", sign)), None)
    if group:
        yield group, "guest"
    elif (proc / "self/cgroup").exists() and (root / "usr/bin/lxc-version").exists():
        yield "lxc", "host"
    if any(line in ("ID=coreos", 'ID="coreos"') for line in lines(root / "etc/os-release")):
        yield "rkt", "host"
    if (root / ".dockerenv").exists():
        yield "docker", "guest"


def _says(path: Path, text: str) -> bool:
    return any(text in line for line in lines(path))
