"""The network interfaces: protocol section 8.4 from the system's own list, traffic from `/proc/net/dev`."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from job_item.hardware.query import ROOT, ask

_FLAGS = {
    "up": "up",
    "broadcast": "broadcast",
    "loopback": "loopback",
    "pointopoint": "pointtopoint",
    "multicast": "multicast",
}
"""Flags as the system spells them and as the protocol does, in the protocol's order."""


class Traffic(NamedTuple):
    """What went through one interface since it is there."""

    received_bytes: int
    received_errors: int
    sent_bytes: int
    sent_errors: int


class Address(NamedTuple):
    """One address of an interface with its mask, as the system tells them."""

    family: int
    address: str
    netmask: str | None


def interfaces() -> list[dict[str, Any]]:
    """The list of `listen_net_information` (protocol 8.4), by index. Raises `Unknown`."""
    return ask("network", _interfaces)


def interface(
    name: str, index: int, mtu: int, flags: Iterable[str], addresses: Iterable[Address] | None
) -> dict[str, Any]:
    """One interface in the words of the protocol; `addresses` is None where they could not be read."""
    known = set(flags)
    found = [ours for theirs, ours in _FLAGS.items() if theirs in known]
    listed = None if addresses is None else list(addresses)
    hardware = [each.address for each in listed or () if each.family == socket.AF_PACKET]
    is_real = bool(hardware) and hardware[0].strip("0:") != ""
    return {
        "index": index,
        "mtu": mtu,
        "name": name,
        "hardwareAddr": hardware[0] if is_real else "",
        "flags": found or None,
        "addrs": None if listed is None else [{"addr": text} for text in _prefixed(listed)],
    }


def traffic(root: Path = ROOT) -> dict[str, Traffic]:
    """The counters of each interface. Raises `Unknown`."""
    return ask("network traffic", lambda: _traffic(root))


def _interfaces() -> list[dict[str, Any]]:
    import psutil  # here: nodes without a Job Manager never load it

    stats = psutil.net_if_stats()
    addresses: Mapping[str, list[Any]] = psutil.net_if_addrs()
    found = []
    for index, name in sorted(socket.if_nameindex()):
        if name in stats:
            own = [Address(int(each.family), each.address, each.netmask) for each in addresses.get(name, [])]
            flags = stats[name].flags.split(",")
            found.append(interface(name, index, stats[name].mtu, flags, own))
    return found


def _prefixed(addresses: list[Address]) -> Iterable[str]:
    """IP addresses in prefix notation, version 4 first."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for each in addresses:
            if each.family == family:
                plain = ip_address(each.address.partition("%")[0])
                yield f"{plain}/{_prefix(each.netmask, plain.max_prefixlen)}"


def _prefix(netmask: str | None, longest: int) -> int:
    if netmask is None:
        return longest
    mask = ip_address(netmask)
    if mask.version == 4:
        return ip_network(f"0.0.0.0/{netmask}").prefixlen
    return int(mask).bit_count()


def _traffic(root: Path) -> dict[str, Traffic]:
    found = {}
    for line in (root / "proc/net/dev").read_text().split("\n")[2:]:
        name, colon, columns = line.rpartition(":")
        if colon:
            values = [int(column) for column in columns.split()]
            found[name.strip()] = Traffic(values[0], values[2], values[8], values[10])
    return found
