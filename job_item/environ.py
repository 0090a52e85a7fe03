"""What jobs and execs see of the node's own environment: a clean base, never its secrets (protocol 9.3, S2)."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

BASE = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")
"""What every job gets of the node's environment (globs); `pass_env` adds to it."""


def base_environment(
    environ: Mapping[str, str], dotenv: Mapping[str, str], pass_env: tuple[str, ...]
) -> dict[str, str]:
    """Choose what of the node's own environment jobs and execs see; it wins over `.env`, as in protocol 2.3."""
    patterns = (*BASE, *pass_env)
    passed = {name: value for name, value in environ.items() if any(fnmatchcase(name, glob) for glob in patterns)}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **dotenv, **passed}
