"""Carries out a Dockerfile without an engine: a folder stands for the root of the stage that is being built.

All stages have the same folder, one after the other, so that what one copies from another finds its own paths there,
and nothing of the other.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

IN_IMAGE = re.compile(r"(?<![\w/.:$}])/(?=opt/|src\b|var/lib/|work\b|srv\b|usr/local/bin/)")
"""Where a path of the image begins; others are programs and devices of this machine."""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction: its word, and what follows."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    for line in filter(str.strip, joined.splitlines()):
        word, _, rest = line.strip().partition(" ")
        yield word, rest.strip()


@dataclass
class Stage:
    """An image as far as it is built. `root` stands for `/`."""

    root: Path
    workdir: str = "/"
    user: str = "root"
    environ: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def place(self, path: str) -> Path:
        """Where a path of the image is here."""
        return self.root / os.path.normpath(os.path.join(self.workdir, path)).lstrip("/")

    def here(self, text: str) -> str:
        """A command with the paths of the image below `root`."""
        return IN_IMAGE.sub(f"{self.root}/", text)


class Builder:
    """Builds the stages below `folder` from `context`, which `ignore` narrows as `.dockerignore` does.

    `environ` is what each step sees besides what its stage sets.
    """

    def __init__(self, folder: Path, context: Path, ignore: str, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._context = context
        self._ignore = [line for line in ignore.splitlines() if line and not line.startswith("#")]
        self._environ = environ
        self._name = ""
        self.stages: dict[str, Stage] = {}

    def build(self, text: str) -> Stage:
        """Carry out all instructions; returns the last stage, whose root is whole then."""
        for word, rest in instructions(text):
            if word == "FROM":
                self._begin(rest)
            elif word == "ARG":
                name, _, value = rest.partition("=")
                if self._name:
                    self.stages[self._name].environ[name] = value.strip('"')
            else:
                getattr(self, f"_{word.lower()}")(self.stages[self._name], rest)
        return self.stages[self._name]

    def kept(self, name: str) -> Path:
        """Where the root of a stage is that has been built."""
        return self._folder / f"stage-{name}"

    def _begin(self, rest: str) -> None:
        if self._name:
            self._root.rename(self.kept(self._name))
        found = re.fullmatch(r"(\S+) AS (\w+)", rest)
        assert found, rest
        image, self._name = found[1], found[2]
        if image in self.stages:
            shutil.copytree(self.kept(image), self._root, symlinks=True)
            self.stages[self._name] = deepcopy(self.stages[image])
        else:
            assert image == "python:${PYTHON}-slim", f"{image} is not known here"
            (self._root / "usr" / "local" / "bin").mkdir(parents=True)
            self.stages[self._name] = Stage(self._root)

    def _workdir(self, stage: Stage, rest: str) -> None:
        stage.workdir = rest
        stage.place(".").mkdir(parents=True, exist_ok=True)

    def _user(self, stage: Stage, rest: str) -> None:
        stage.user = rest

    def _env(self, stage: Stage, rest: str) -> None:
        name, _, value = rest.partition("=")
        stage.environ[name] = stage.here(value)

    def _run(self, stage: Stage, rest: str) -> None:
        assert stage.user == "root", f"{rest}: as {stage.user}"
        ended = subprocess.run(
            ["sh", "-e", "-c", stage.here(rest)],
            cwd=stage.place("."),
            env={**self._environ, **stage.environ},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert ended.returncode == 0, f"{rest}\n{ended.stdout}{ended.stderr}"

    def _copy(self, stage: Stage, rest: str) -> None:
        words = shlex.split(rest)
        source: Path | None = None
        if words[0].startswith("--from="):
            source = self.kept(words.pop(0).removeprefix("--from="))
        *names, target = words
        for name in names:
            origin = source / name.lstrip("/") if source else self._context / name
            assert source or self._is_sent(name), f"{name}: .dockerignore keeps it back"
            into = stage.place(target)
            if origin.is_dir():
                shutil.copytree(origin, into, symlinks=True, dirs_exist_ok=True, ignore=self._left_out)
            else:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, into)

    def _left_out(self, _: str, names: list[str]) -> set[str]:
        everywhere = [pattern.removeprefix("**/") for pattern in self._ignore if pattern.startswith("**/")]
        return {name for name in names if any(fnmatch(name, pattern) for pattern in everywhere)}

    def _is_sent(self, name: str) -> bool:
        return self._ignore[0] == "*" and f"!{name}" in self._ignore

    def _healthcheck(self, stage: Stage, rest: str) -> None:
        stage.healthcheck = [] if rest == "NONE" else json.loads(rest.partition("CMD ")[2])

    def _entrypoint(self, stage: Stage, rest: str) -> None:
        stage.entrypoint = json.loads(rest)
