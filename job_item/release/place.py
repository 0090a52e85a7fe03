"""What this machine is to a release."""

from __future__ import annotations

import platform as host
import sys


def platform() -> str:
    """The platform as releases name it, `linux-x86_64`."""
    return f"{sys.platform}-{host.machine().lower()}"


def python() -> tuple[int, int]:
    """The version of the interpreter, as (3, 12)."""
    return sys.version_info[:2]
