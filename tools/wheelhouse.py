"""The wheels that `job_item.pyz` holds: of each distribution that the node needs, one for every Python that it runs on.

What is pinned in requirements.lock is fetched with pip from the index that it is set to, and held against the hashes of
the lock, also where it was fetched earlier.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

GLIBC_MINOR = 28
"""Wheels may ask for glibc 2.28 (2018) at most."""
_NEWEST_PATCH = 99


@dataclass(frozen=True)
class Pin:
    """One entry of a lock file; `requirement` is `name==version`, `marker` empty where it holds everywhere."""

    name: str
    requirement: str
    marker: str
    hashes: frozenset[str]

    def line(self) -> str:
        """The entry as pip reads it, without its marker: pip would judge that by the Python that it runs on."""
        return " ".join([self.requirement, *(f"--hash=sha256:{digest}" for digest in sorted(self.hashes))])


@dataclass(frozen=True)
class Target:
    """CPython 3.`minor` on Linux with glibc; `machine` as the kernel calls it."""

    minor: int
    machine: str

    @property
    def platforms(self) -> list[str]:
        """The platforms whose wheels it takes, best first (PEP 600 and the names before it)."""
        old = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        names = []
        for glibc in range(GLIBC_MINOR, 4, -1):
            names.append(f"manylinux_2_{glibc}")
            names += [old[glibc]] if glibc in old else []
        return [f"{name}_{self.machine}" for name in (*names, "linux")]

    @property
    def tags(self) -> list[Tag]:
        """The wheels it takes, best first."""
        python, interpreter = (3, self.minor), f"cp3{self.minor}"
        return [
            *cpython_tags(python, [interpreter], self.platforms),
            *compatible_tags(python, interpreter, self.platforms),
        ]

    def environ(self, patch: int = 0) -> dict[str, str]:
        """What markers ask for (PEP 508)."""
        full = f"3.{self.minor}.{patch}"
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": f"3.{self.minor}",
            "sys_platform": "linux",
        }

    def wants(self, marker: str | Marker | None) -> bool:
        """Whether a marker holds for some release of this Python: the first or the newest."""
        if not marker:
            return True
        asked = Marker(str(marker))
        return any(asked.evaluate({**self.environ(patch), "extra": ""}) for patch in (0, _NEWEST_PATCH))


def read_lock(text: str) -> list[Pin]:
    """The entries of a lock file as uv writes it."""
    pins = []
    for entry in re.findall(r"^([A-Za-z0-9][^\\\n]*(?:\\\n[^\\\n]*)*)$", text, flags=re.MULTILINE):
        requirement, _, marker = entry.split("--hash=")[0].replace("\\\n", " ").rstrip(" \\").partition(";")
        name = canonicalize_name(requirement.split("==")[0].strip())
        hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
        pins.append(Pin(name, requirement.strip(), marker.strip(), hashes))
    return pins


def gather(folder: Path, own: Path, pins: Iterable[Pin], targets: Sequence[Target]) -> list[Path]:
    """Fetch into `folder` what the wheel `own` needs on `targets`, and return it.

    Raises ValueError for a wheel that the lock does not know, and CalledProcessError where pip cannot fetch one.
    """
    known = {pin.name: pin for pin in pins}
    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, Path] = {}
    for target in targets:
        wanted, found = [own], {own.name: own}
        while wanted:
            names = {name for wheel in wanted for name in requires(wheel, target)}
            missing = [known[name] for name in sorted(names) if not _find(folder, known[name], target)]
            if missing:
                fetch(folder, missing, target)
            reached = [_take(folder, known[name], target) for name in sorted(names)]
            wanted = [wheel for wheel in reached if wheel.name not in found]
            found.update((wheel.name, wheel) for wheel in wanted)
        del found[own.name]
        chosen.update(found)
    return [chosen[name] for name in sorted(chosen)]


def requires(wheel: Path, target: Target) -> set[str]:
    """The distributions that a wheel asks for there, without its extras."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        headers = HeaderParser().parsestr(archive.read(path).decode())
    asked = [Requirement(text) for text in headers.get_all("Requires-Dist", [])]
    return {canonicalize_name(each.name) for each in asked if target.wants(each.marker)}


def fetch(folder: Path, pins: Iterable[Pin], target: Target) -> None:
    """Download wheels of `pins` for `target`. Raises CalledProcessError."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as asked:
        asked.write("\n".join(pin.line() for pin in pins))
        asked.flush()
        platforms = [word for platform in target.platforms for word in ("--platform", platform)]
        abis = [word for abi in (f"cp3{target.minor}", "abi3", "none") for word in ("--abi", abi)]
        asking = [
            *("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"),
            *("--dest", str(folder), "--requirement", asked.name),
            *("--implementation", "cp", "--python-version", f"3.{target.minor}", *abis, *platforms),
        ]
        subprocess.run([sys.executable, "-m", "pip", "download", *asking], check=True)


def _take(folder: Path, pin: Pin, target: Target) -> Path:
    wheel = _find(folder, pin, target)
    if wheel is None or hashlib.sha256(wheel.read_bytes()).hexdigest() not in pin.hashes:
        raise ValueError(
            f"{wheel or pin.requirement} is not what requirements.lock pins. Remove {folder} and try again."
        )
    return wheel


def _find(folder: Path, pin: Pin, target: Target) -> Path | None:
    """The best wheel of `pin` for `target` that is there."""
    order = {tag: place for place, tag in enumerate(target.tags)}
    best: tuple[int, Path] | None = None
    for wheel in sorted(folder.glob("*.whl")):
        name, version, _, tags = parse_wheel_filename(wheel.name)
        if name != pin.name or str(version) != pin.requirement.partition("==")[2]:
            continue
        place = min((order[tag] for tag in tags if tag in order), default=None)
        if place is not None and (best is None or place < best[0]):
            best = place, wheel
    return best[1] if best else None
