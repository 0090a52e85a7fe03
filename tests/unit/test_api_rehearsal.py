"""The application is ready for its first request as soon as it is imported, and importing it leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import sys, threading
import worker.api.app
from fastapi import routing
print(threading.active_count(), "pydantic.v1" in sys.modules, len(routing._endpoint_context_cache))
"""


def test_importing_the_application_rehearses_every_page_silently() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    threads, has_old_pydantic, rehearsed = done.stdout.split()
    assert (threads, has_old_pydantic) == ("1", "False")
    assert int(rehearsed) >= 8
    assert done.stderr == ""
