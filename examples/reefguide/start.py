"""A stand-in of the API, an S3 server and a node of ReefGuide, all on this machine, until Ctrl-C.

`python -m examples.reefguide.start FOLDER`: the folder has `.env` and the handlers. What listens already at one of the
two addresses is used as it is.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import requests

from examples.reefguide.api import PASSWORD, USER, StandIn, Store
from examples.reefguide.api.accounts import Accounts
from job_item.dotenv import parse_dotenv

BUCKET = "reef"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
START_S, END_S = 60.0, 40.0


def main() -> None:
    """Start all three, say where they are, and wait for the node."""
    folder = Path(sys.argv[1]).absolute()
    environ = settings_of(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        try:
            _start_servers(stack, folder, environ)
            node = subprocess.Popen([sys.executable, "-m", "supervisor"], cwd=folder, start_new_session=True)
            stack.callback(_end, node)
            print(f"node     in {folder}; Ctrl-C ends all", flush=True)
            sys.exit(node.wait())
        except KeyboardInterrupt:
            print("\nending", flush=True)


def settings_of(folder: Path) -> dict[str, str]:
    """The environment over what `.env` says, as the node reads it."""
    file = folder / ".env"
    values, _ = parse_dotenv(file.read_text(), str(file)) if file.exists() else ({}, [])
    return {**values, **os.environ}


def _start_servers(stack: ExitStack, folder: Path, environ: dict[str, str]) -> None:
    api, store = urlsplit(environ["API_ENDPOINT"]), urlsplit(environ["S3_ENDPOINT"])
    if _is_ours(api.hostname, api.port):
        # Five log-ins in a quarter of an hour are few for somebody who tries things out.
        jobs = Store(Accounts(login_limit=1000))
        jobs.bucket = BUCKET
        stack.enter_context(StandIn(jobs, api.port or 80))
        print(f"API      {api.geturl()}   user {USER}, password {PASSWORD!r}")
    if _is_ours(store.hostname, store.port):
        _start_s3(stack, folder, store.port or 80)
        print(f"S3       {store.geturl()}   bucket {BUCKET}")


def _start_s3(stack: ExitStack, folder: Path, port: int) -> None:
    """The server of moto, which keeps what it is given in memory; log in `s3.log`."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "s3.log").open("wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    stack.callback(_end, server)
    until_s = time.monotonic() + START_S
    while not _is_open("127.0.0.1", port):
        if server.poll() is not None or time.monotonic() > until_s:
            sys.exit(f"the S3 server did not start; see {folder / 's3.log'}")
        time.sleep(0.05)
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands before this machine itself
        session.put(f"http://127.0.0.1:{port}/{BUCKET}", timeout=START_S).raise_for_status()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_ours(host: str | None, port: int | None) -> bool:
    """Whether a server of this example belongs at an address: one of this machine at which nobody listens."""
    return host in LOOPBACK and not _is_open(host, port or 80)


def _is_open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
