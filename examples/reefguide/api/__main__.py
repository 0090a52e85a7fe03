"""The stand-in by itself, `python -m examples.reefguide.api [PORT]`: prints its user; jobs are made over HTTP."""

from __future__ import annotations

import sys
import threading

from examples.reefguide.api import PASSWORD, USER, StandIn

if __name__ == "__main__":
    with StandIn(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000) as api:
        sys.stdout.write(f"API_ENDPOINT={api.url}\nWORKER_USERNAME={USER}\nWORKER_PASSWORD='{PASSWORD}'\n")
        sys.stdout.flush()
        threading.Event().wait()
