"""How a version that lies in the folder of versions is run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

UNPACK_VARIABLE = "PEX_ROOT"
"""Where an artifact unpacks itself to (the name is that of the tool it is built with)."""
_HERE = str(Path(__file__).resolve().parent.parent.parent)


def interpreter() -> str:
    """The Python to run an artifact with: the one behind our own virtual environment, which may be removed one day."""
    return getattr(sys, "_base_executable", "") or sys.executable


def environment(environ: Mapping[str, str], artifact: Path) -> dict[str, str]:
    """What a version is started with: all but what leads back to the code that runs now."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("PEX", "__PEX"))}
    folders = [folder for folder in kept.pop("PYTHONPATH", "").split(os.pathsep) if folder not in ("", _HERE)]
    if folders:
        kept["PYTHONPATH"] = os.pathsep.join(folders)
    return {**kept, UNPACK_VARIABLE: str(artifact.with_name("unpacked"))}
