"""`make manager`: a broker, the manager and a node that belongs to it, all on this machine, until Ctrl-C.

What they write is in `.manager/`, or the folder that is named; key and password are made at the first start and kept.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
END_S = 20.0
START_S = 30.0

EVENTS: list[dict[str, Any]] = [
    {"event": "hello", "name": "Say hello"},
    {"event": "report", "name": "Upload a report and hand in a result", "timeout": 60, "limit_process": 2},
    {"event": "long", "name": "Count for a minute", "timeout": 30},
]
JOBS: list[dict[str, Any]] = [
    {"event": "hello", "cmd": 'echo "hello {{name}}"'},
    {"event": "report", "cmd": [sys.executable, str(ROOT / "examples/scripts/report_sdk.py")]},
    {"event": "long", "cmd": "for i in $(seq 60); do echo $i; sleep 1; done"},
]


def main() -> None:
    """Start all three, say where they are, and wait."""
    os.umask(0o077)
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / ".manager"
    (folder / "node").mkdir(parents=True, exist_ok=True)
    kept = folder / "secrets.yaml"
    if not kept.exists():
        kept.write_text(yaml.safe_dump({"key": secrets.token_urlsafe(24), "password": secrets.token_urlsafe(12)}))
    secret = yaml.safe_load(kept.read_text())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        try:
            _start_all(stack, folder, secret)
        except KeyboardInterrupt:
            print("\nending all three")


def _start_all(stack: ExitStack, folder: Path, secret: dict[str, str]) -> None:
    broker, command = _broker()
    port, manager_port = _free_port(), _free_port(9000)
    url = f"http://127.0.0.1:{manager_port}"
    _run(stack, folder, "broker", [word.format(port=port) for word in command], port)
    _write(
        folder / "manager.yaml",
        {
            "project": {"id": "demo", "key": secret["key"], "name": "Demo"},
            "broker_connection": {"type": broker, "host": "127.0.0.1", "port": port},
            "password": secret["password"],
            "port": manager_port,
            "jobs": EVENTS,
        },
    )
    _run(
        stack,
        folder,
        "manager",
        [sys.executable, "-m", "examples.job_manager", str(folder / "manager.yaml")],
        manager_port,
    )
    _write(
        folder / "node/config.yaml",
        {"end_point": url, "credential": {"project_id": "demo", "secret_key": secret["key"]}, "jobs": JOBS},
    )
    node = _run(
        stack, folder, "node", [sys.executable, "-m", "supervisor", "--config", str(folder / "node/config.yaml")], None
    )
    print(f"broker   {broker} on 127.0.0.1:{port}")
    print(f"manager  {url}   user admin, password {secret['password']}")
    print(f"node     {folder / 'node/config.yaml'}   log in {folder / 'node.log'}")
    print("Ctrl-C ends all three.", flush=True)
    code = node.wait()
    sys.exit(f"the node has ended with code {code}; see {folder / 'node.log'}")


def _broker() -> tuple[str, list[str]]:
    """The broker that is installed; BROKER=redis picks one."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    for name, command in (
        ("nats", ["nats-server", "-a", "127.0.0.1", "-p", "{port}"]),
        ("redis", ["redis-server", "--bind", "127.0.0.1", "--port", "{port}", "--save", ""]),
    ):
        program = shutil.which(command[0], path=path)
        if program and os.environ.get("BROKER", name) == name:
            return name, [program, *command[1:]]
    sys.exit("Neither nats-server nor redis-server is installed; `sh tools/servers check` prints how to install them.")


def _run(stack: ExitStack, folder: Path, name: str, command: list[str], port: int | None) -> subprocess.Popen[bytes]:
    """Start one of them, in a session of its own so that Ctrl-C is ours, and wait until it takes connections."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder if name == "broker" else ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    stack.callback(_end, process)
    until_s = time.monotonic() + START_S
    while port is not None and not _is_open(port):
        if process.poll() is not None or time.monotonic() > until_s:
            sys.exit(f"the {name} did not start; see {folder / f'{name}.log'}")
        time.sleep(0.05)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port(wanted: int = 0) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
