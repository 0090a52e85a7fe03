"""Real shells as judges of templates: every command of a text is a function that prints its arguments.

A batch of texts is read by one shell process, each in a subshell of its own, so that thousands take seconds. What
counts is the list of words that each command got, the files that the texts made, and that nothing else ran.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

SHELLS = {"bash": ("bash",), "dash": ("dash",), "sh": ("bash", "--posix")}
"""The judges by the name that a job gives its shell: `sh` is bash on some systems and dash on others."""

_PRINTER = r"""
print() { printf '%s\000' "$#" "$@" >&3; }
for name in NAMES; do eval "$name() { print $name \"\$@\"; OUTPUT; }"; done
unset name; exec 3>>"$RECORDS"
at=0; while [ "$at" -lt COUNT ]; do
( cd "$ROOM" && . "$TEXTS/$at" ) </dev/null >/dev/null 2>&1
printf 'end\000' >&3; at=$((at + 1)); done; wait
"""

Record = tuple[str, ...]


def judge(
    shell: str,
    texts: Sequence[str],
    folder: Path,
    *,
    names: Iterable[str] = ("p",),
    output: str = ":",
    timeout_s: float = 100,
) -> tuple[list[list[Record]], list[str]]:
    """Let `shell` run `texts`; gives for each the words of its commands, and the names of all files that were made."""
    room, written = folder / "room", folder / "texts"
    room.mkdir(parents=True)
    written.mkdir()
    for at, text in enumerate(texts):
        (written / str(at)).write_bytes(text.encode())
    script = _PRINTER.replace("NAMES", " ".join(names)).replace("OUTPUT", output).replace("COUNT", str(len(texts)))
    records = folder / "records"
    environ = {"PATH": "/usr/bin:/bin", "RECORDS": str(records), "ROOM": str(room), "TEXTS": str(written)}
    environ |= {"HOME": "/home/nobody", "LC_ALL": "C.UTF-8", "set": "given"}
    subprocess.run([*SHELLS[shell], "-c", script], env=environ, check=True, timeout=timeout_s, capture_output=True)
    return _read(records.read_bytes()), sorted(path.name for path in room.iterdir())


def _read(raw: bytes) -> list[list[Record]]:
    fields = iter(raw.decode(errors="surrogateescape").split("\0")[:-1])
    judged: list[list[Record]] = [[]]
    for field in fields:
        if field == "end":
            judged.append([])
        else:
            judged[-1].append(tuple(islice(fields, int(field))))
    return judged[:-1]


def replaced(records: list[Record], benign: str, value: str) -> list[Record]:
    """What the commands must get for `value`, from what they got for a benign one."""
    return [tuple(word.replace(benign, value) for word in record) for record in records]
