"""Build hook: a wheel or sdist carries the commit that it was made from, as `job_item/commit.txt` (`job_item.built`).

What is built from an sdist keeps the file that came with it; an editable installation asks git when it is asked.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Puts the commit in where git knows it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to what is built, from outside the tree: nothing stale can be left in it."""
        built = _load(Path(self.root) / "job_item" / "built.py")
        if version == "editable" or built.COMMIT_FILE.exists():
            return
        commit = built.find_commit()
        if commit:
            self._folder = tempfile.TemporaryDirectory()
            stamp = Path(self._folder.name) / built.COMMIT_FILE.name
            stamp.write_text(f"{commit}\n")
            build_data["force_include"][str(stamp)] = f"job_item/{stamp.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - the hook's
        """Take the file away again."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def _load(path: Path) -> Any:
    """The module itself, not the package: a build has nothing of ours installed."""
    spec = importlib.util.spec_from_file_location("built", path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - it is a file with a suffix
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
