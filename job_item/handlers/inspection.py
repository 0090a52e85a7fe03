"""Looks at handlers beforehand, in a process of its own: what authors' modules do when imported is theirs to do there.

`examine` is called by whoever reads the settings, `main` is what the process does.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from job_item import process
from job_item.handlers.roster import Cast, Roster, Trouble

LIMIT_S = 60.0
"""How long loading may take: large libraries take seconds, nothing sane takes longer."""
_BOOT = "import sys; sys.path[0] = sys.argv[1]; from job_item.handlers.inspection import main; main(int(sys.argv[2]))"
_TOLD = 300


def examine(roster: Roster, environ: Mapping[str, str], limit_s: float = LIMIT_S) -> tuple[Cast, tuple[Trouble, ...]]:
    """Load everything once and say what is there, and all that is wrong.

    `environ` is what the processes of handlers get. Takes as long as the imports do, `limit_s` seconds at most.
    """
    if not roster:
        return Cast(), ()
    reader, writer = os.pipe()
    with open(reader, "rb") as answer:  # noqa: PTH123 - a descriptor
        try:
            loader = _start(roster, environ, writer)
        finally:
            os.close(writer)
        with loader:
            try:
                _, said = loader.communicate(roster.as_json().encode(), limit_s)
            except subprocess.TimeoutExpired:
                loader.kill()
                return Cast(roster), (_unloaded(roster, f"loading took longer than {limit_s:g} s"),)
        text = answer.read()
    if loader.returncode or not text:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2][:_TOLD]
        end = f"signal {-loader.returncode}" if loader.returncode < 0 else f"exit code {loader.returncode}"
        return Cast(roster), (_unloaded(roster, f"the process that loaded them ended with {end}. {last}".strip()),)
    found: dict[str, Any] = json.loads(text)
    cast = Cast(roster, tuple(found["types"]), tuple(found["files"]), digest_of(found["files"]))
    return cast, tuple(Trouble(*trouble) for trouble in found["troubles"])


def digest_of(files: Sequence[str]) -> str:
    """A digest of what stands in these files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(_content(file))
    return digest.hexdigest()[:16]


def main(descriptor: int) -> None:
    """Load the roster that comes on standard input and write what was found to `descriptor`."""
    from job_item.handlers.registry import load

    process.signal_when_orphaned(signal.SIGKILL)
    registry = load(Roster.from_json(sys.stdin.read()))
    answer = {"types": registry.types, "files": registry.files, "troubles": registry.troubles}
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)
    sys.stderr.flush()
    os._exit(0)  # threads that a module has started must not hold this up


def _start(roster: Roster, environ: Mapping[str, str], writer: int) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        (sys.executable, "-B", "-X", "utf8", "-c", _BOOT, root, str(writer)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
        env={**environ},
        cwd=roster.folder,
        start_new_session=True,
    )


def _unloaded(roster: Roster, why: str) -> Trouble:
    return Trouble("ERR-HND-009", f"The handlers cannot be loaded: {why}", next(_names(roster), "handlers"))


def _names(roster: Roster) -> Iterator[str]:
    yield from roster.sources
    yield from roster.wanted


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""
