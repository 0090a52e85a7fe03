"""A process that becomes another version of its node: what is sent to the node meanwhile is not its end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from job_item.release.shelf import Shelf
from tests.conftest import ROOT

TELL = "import os, signal; print(sorted(n for n in range(1, 32) if signal.getsignal(n) is signal.SIG_IGN), flush=True)"
BEGINS_AGAIN = f"""
import os
if "AGAIN" in os.environ:
    {TELL}
else:
    from supervisor.signals import Signals
    from supervisor.succession import begin_again
    Signals().install()
    begin_again(None, {{**os.environ, "AGAIN": "1"}})
"""
GUARDS = """
import os, pathlib, sys
from job_item.release.marker import Staged
from supervisor import guard
from supervisor.plan import GuardPlan, LogWish
plan = GuardPlan(pathlib.Path(os.environ["STATE"]), Staged("9.0", ""), None, LogWish("INFO", "json", ()))
sys.exit(guard.run(plan, os.environ))
"""
WISHES = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
"""What somebody may send to a node that runs, or what its guard has been sent and passes on to it."""
STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


@pytest.mark.parametrize("program", [BEGINS_AGAIN, GUARDS])
def test_a_wish_that_comes_before_the_new_version_hears_does_not_end_it_and_a_stop_does(
    program: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    artifact = Shelf(state).artifact("9.0")
    artifact.parent.mkdir(parents=True)
    artifact.write_text(TELL)
    environ = {"PYTHONPATH": str(ROOT), "STATE": str(state), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    ignored = {int(number) for number in done.stdout.strip("[]\n").split(",")}
    assert ignored >= WISHES
    assert not STOPS & ignored
