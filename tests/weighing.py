"""How much memory a command took at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.terminal import environment

# A small process stands between: the kernel counts the memory of the one that forked, too, and ours may be large.
_SCALE = """
import pathlib, resource, subprocess, sys
done = subprocess.run(sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
sys.exit(done.returncode)
"""


def weigh(
    command: list[str], folder: Path, env: dict[str, str], *, stdin: IO[bytes] | None = None, stdout: IO[bytes]
) -> tuple[int, int]:
    """Run a command to its end; gives its exit code and the most bytes of memory that it held."""
    weight = folder / "weight"
    scale = [sys.executable, "-c", _SCALE, str(weight), *command]
    done = subprocess.run(scale, stdin=stdin, stdout=stdout, env=environment(env), timeout=110, check=False)
    return done.returncode, int(weight.read_text())
