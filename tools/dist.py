"""`make dist`: what people install, written to dist/: a wheel, an sdist, `job_item.pyz`, the lock, and their checksums.

Usage: python -m tools.dist [--into FOLDER] [--python 3.11,3.12]

The same commit with the same wheels gives the same bytes: times are those of the commit, and nothing of this machine
goes in. The version is the one of `job_item.__version__`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.wheelhouse import GLIBC_MINOR, Target, gather, read_lock

ROOT = Path(__file__).parent.parent
PYZ = "job_item.pyz"
PYTHONS = (11, 12, 13, 14)
"""The minor versions of Python 3 that the pyz holds compiled parts for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build everything."""
    parser = argparse.ArgumentParser(prog="python -m tools.dist", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder for what is built (dist)")
    parser.add_argument("--python", default=",".join(f"3.{minor}" for minor in PYTHONS), help="versions for the pyz")
    given = parser.parse_args(arguments)
    if sys.platform != "linux":
        parser.error("job_item.pyz is built on Linux, for Linux; `python -m hatchling build` makes wheel and sdist.")
    minors = [int(version.partition(".")[2]) for version in given.python.split(",")]
    targets = [Target(minor, platform.machine()) for minor in minors]
    built = build(given.into.resolve(), targets)
    for path in built:
        print(f"{path.stat().st_size:>12,} {path}")
    return 0


def build(into: Path, targets: Sequence[Target]) -> list[Path]:
    """Build for `targets`; returns the files that were written, the checksums last."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time())}
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(into)]
    subprocess.run(hatchling, cwd=ROOT, env=environ, capture_output=True, check=True)
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    pins = read_lock((ROOT / "requirements.lock").read_text())
    wheels = gather(ROOT / "build" / "wheels", wheel, pins, targets)
    pyz = into / PYZ
    pack(pyz, [wheel, *wheels], targets, environ)
    lock = Path(shutil.copy(ROOT / "requirements.lock", into))
    sums = into / "SHA256SUMS"
    parts = [wheel, sdist, pyz, lock]
    sums.write_text("".join(f"{digest(path)}  {path.name}\n" for path in parts))
    return [*parts, sums]


def pack(pyz: Path, wheels: Sequence[Path], targets: Sequence[Target], environ: dict[str, str]) -> None:
    """Make the single file: it unpacks itself to a virtual environment at its first start."""
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "preamble.py"
        first.write_text(preamble(targets))
        platforms = []
        for target in targets:
            file = Path(folder) / f"cp3{target.minor}.json"
            tags = [str(tag) for tag in target.tags]
            file.write_text(json.dumps({"marker_environment": target.environ(), "compatible_tags": tags}))
            platforms.append(f"--complete-platform={file}")
        minors = [target.minor for target in targets]
        asked = [
            *("job_item", "--console-script=job_item", f"--output-file={pyz}"),
            *("--no-pypi", *(f"--pre-resolved-dist={wheel}" for wheel in wheels), *platforms),
            *(f"--interpreter-constraint=CPython>=3.{min(minors)},<3.{max(minors) + 1}", f"--preamble-file={first}"),
            # Behind PATH, not before it: a job that says `python3` means the machine's.
            *("--python-shebang=/usr/bin/env python3", "--venv=append", "--venv-site-packages-copies"),
            *("--include-tools", "--no-rc", f"--pex-root={ROOT / 'build' / 'pex'}", f"--tmpdir={folder}"),
        ]
        subprocess.run([sys.executable, "-m", "pex", *asked], env=environ, stdout=subprocess.DEVNULL, check=True)


def preamble(targets: Sequence[Target]) -> str:
    """Code that the pyz runs first: it refuses other platforms in one sentence."""
    minors, glibc = sorted(target.minor for target in targets), [2, GLIBC_MINOR]
    text = (ROOT / "tools" / "preamble.py").read_text()
    return f"{text}\n\nrefuse_elsewhere({minors}, {targets[0].machine!r}, {glibc})\n"


def commit_time() -> int:
    """When the commit was made, in seconds since 1970; a fixed moment where git does not know."""
    said = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(said.stdout) if said.returncode == 0 else 1_577_836_800


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
