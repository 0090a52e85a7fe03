"""Which system runs here, in the words of gopsutil: platform, family, version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from job_item.hardware.query import first_line, lines

_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("debian", "ubuntu", "linuxmint", "raspbian"), "debian"),
        **dict.fromkeys(
            "oracle centos redhat scientific enterpriseenterprise amazon xenserver cloudlinux ibm_powerkvm rocky"
            " almalinux".split(),
            "rhel",
        ),
        **dict.fromkeys(("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles"), "suse"),
        **{name: name for name in "fedora gentoo slackware arch exherbo alpine coreos solus".split()},
        "manjaro": "arch",
        "neokylin": "neokylin",
    }
)
_RED_HATS = (
    ("oracle-release", "oracle"),
    ("enterprise-release", "oracle"),
    ("redhat-release", ""),
    ("system-release", ""),
    ("gentoo-release", "gentoo"),
)
_RELEASE = re.compile(r"release (\d[\d.]*)")
_OF_DEBIAN = ("Ubuntu", "LinuxMint")


class Platform(NamedTuple):
    """A system: its name, the family that it belongs to, its version; empty where nothing tells."""

    name: str
    family: str
    version: str


def platform_of(root: Path) -> Platform:
    """Find out which system runs here, by the files in `/etc` that gopsutil looks at, in its order."""
    etc = root / "etc"
    name, version = _debian(root) or _red_hat(etc) or _plain(etc) or _by_os_release(etc)
    return Platform(name, _FAMILIES.get(name, ""), version)


def _debian(root: Path) -> tuple[str, str] | None:
    etc = root / "etc"
    if _any_exists(etc, "oracle-release", "enterprise-release", "slackware-version") or not _any_exists(
        etc, "debian_version"
    ):
        return None
    lsb = _assignments(etc / "lsb-release")
    if lsb.get("DISTRIB_ID") in _OF_DEBIAN:
        return lsb["DISTRIB_ID"].lower(), lsb.get("DISTRIB_RELEASE", "")
    name = "raspbian" if (root / "usr/bin/raspi-config").exists() else "debian"
    return name, first_line(etc / "debian_version")


def _red_hat(etc: Path) -> tuple[str, str] | None:
    for file, name in _RED_HATS:
        if (etc / file).exists():
            text = "".join(lines(etc / file)).lower()
            found = _RELEASE.search(text)
            version = "rawhide" if "rawhide" in text else found[1] if found else ""
            return name or ("redhat" if "red hat" in text else text.split(" ")[0]), version
    return None


def _plain(etc: Path) -> tuple[str, str] | None:
    if (etc / "slackware-version").exists():
        return "slackware", "".join(lines(etc / "slackware-version")).lower().replace("slackware ", "", 1)
    if (etc / "arch-release").exists():
        return "arch", _assignments(etc / "lsb-release").get("DISTRIB_RELEASE", "")
    if (etc / "alpine-release").exists():
        return "alpine", first_line(etc / "alpine-release")
    return None


def _by_os_release(etc: Path) -> tuple[str, str]:
    found = _assignments(etc / "os-release")
    name = found.get("ID", "")
    return "amazon" if name == "amzn" else name, found.get("VERSION_ID", "")


def _assignments(path: Path) -> dict[str, str]:
    """`NAME=value` lines, one pair of double quotes around a value taken off."""
    pairs = (line.partition("=") for line in lines(path))
    return {
        name: value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        for name, equals, value in pairs
        if equals
    }


def _any_exists(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)
