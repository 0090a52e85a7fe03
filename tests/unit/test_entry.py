"""Where the command begins: which systems it runs on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from supervisor.entry import is_supported
from tests.conftest import ROOT


@pytest.mark.parametrize(("system", "is_one"), [("posix", True), ("nt", False), ("java", False)])
def test_a_node_runs_on_posix_systems(system: str, is_one: bool) -> None:
    assert is_supported(system) is is_one


def test_elsewhere_it_says_so_in_one_sentence() -> None:
    program = "import os, sys; from supervisor import entry; os.name = 'nt'; os._exit(entry.main())"
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 69
    assert told.stderr.count("\n") == 1
    assert "WSL 2" in told.stderr
