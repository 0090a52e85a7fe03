"""Run the stand-in by itself: `python -m tests.reefguide [PORT]`; the user is printed, and jobs are made over HTTP."""

from __future__ import annotations

import sys
import threading

from tests.reefguide import PASSWORD, USER, StandIn

if __name__ == "__main__":
    with StandIn(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000) as api:
        sys.stdout.write(f"API_ENDPOINT={api.url}\nWORKER_USERNAME={USER}\nWORKER_PASSWORD='{PASSWORD}'\n")
        sys.stdout.flush()
        threading.Event().wait()
