"""What installs a node as a service: a list of steps, each a command or a file, that people can read beforehand."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from job_item.errors import NodeError

FAILED = "ERR-SUP-060"


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, with these variables added to the environment."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{name}={shlex.quote(value)}" for name, value in self.environ.items()]
        return " ".join([*words, shlex.join(self.argv)])


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to write, whole or not at all, of this mode and, where one is named, for this group to read."""

    path: Path
    text: str
    mode: int = 0o644
    group: str | None = None

    def __str__(self) -> str:
        owner = f", group {self.group}" if self.group else ""
        return f"# write {self.path} (mode {self.mode:04o}{owner}):\n" + "".join(
            f"#   {line}\n" if line else "#\n" for line in self.text.splitlines()
        ).rstrip("\n")


Step = Command | NewFile


def carry_out(steps: Iterable[Step], environ: Mapping[str, str]) -> None:
    """Do all steps, in their order. Raises `NodeError` (ERR-SUP-060) at the first that fails, which names it."""
    for step in steps:
        try:
            if isinstance(step, Command):
                subprocess.run(step.argv, env={**environ, **step.environ}, stdin=subprocess.DEVNULL, check=True)
            else:
                _write(step)
        except subprocess.CalledProcessError as error:
            raise NodeError(FAILED, f"`{step}` ended with exit code {error.returncode}.") from error
        except (OSError, LookupError) as error:
            raise NodeError(FAILED, f"{str(step).splitlines()[0]}: {error}.") from error


def _write(file: NewFile) -> None:
    import shutil

    new = file.path.with_name(f".{file.path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(file.text)
        if file.group is not None:
            shutil.chown(new, group=file.group)
        os.fchmod(stream.fileno(), file.mode)
    new.replace(file.path)
