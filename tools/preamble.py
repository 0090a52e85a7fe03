"""The first words of `job_item.pyz`: they say in one sentence where it does not run (tools/dist.py puts them in).

Python 3.6 must be able to read this, so nothing here is newer.
"""

import os
import sys


def refuse_elsewhere(minors: "list[int]", machine: str, glibc: "list[int]") -> None:
    """End with 69 and a sentence where none of the Pythons 3.`minors` can run here.

    A Python that is too old is no reason if another is on PATH: what follows in the file looks for it and goes on
    with that one.
    """
    here = _what_is_wrong(minors, machine, glibc)
    if here:
        pythons = f"Python 3.{minors[0]} to 3.{minors[-1]}"
        sys.stderr.write(
            f"ERR-SUP-015: job_item.pyz needs {pythons} on Linux ({machine}, glibc {glibc[0]}.{glibc[1]} or newer); "
            f"this is {here}. Run it there, or install the wheel with pip.\n"
        )
        sys.exit(69)


def _what_is_wrong(minors: "list[int]", machine: str, glibc: "list[int]") -> str:
    system = os.uname() if hasattr(os, "uname") else ("another system", "", "", "", "another processor")
    if system[0] != "Linux" or system[4] != machine:
        return f"{system[0]} on {system[4]}"
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        library = ""
    if [int(part) for part in library[6:].split(".")[:2]] < glibc:
        return f"Linux with {library or 'a C library that is not glibc'}"
    if sys.version_info[0] == 3 and sys.version_info[1] in minors:
        return ""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    others = [f"{folder}/python3.{minor}" for folder in folders for minor in minors]
    return (
        ""
        if any(os.access(other, os.X_OK) for other in others)
        else f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    )
