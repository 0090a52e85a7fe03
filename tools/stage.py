"""`make manager`: a broker, the manager and a node that belongs to it, all on this machine, until Ctrl-C.

BROKER=nats, redis or rabbitmq picks the broker; without it the first of them that is installed is taken. What they
write is in `.manager/`, or the folder that is named; key and password are made at the first start and kept.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
END_S = 20.0
BROKERS = ("nats", "redis", "rabbitmq")
PLACES = ("/usr/lib/rabbitmq/bin", os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin")
"""Where programs are; the `rabbitmq-server` that Debian has in PATH would change the user."""

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


class Stage:
    """What runs here, and the folder that it writes to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(
        self, name: str, *command: str, handed: tuple[int, ...] = (), environ: dict[str, str] | None = None
    ) -> None:
        """Start a program, in a session of its own so that Ctrl-C is ours. None waits for another: they do so.

        `handed` are descriptors that it inherits.
        """
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=handed,
            )

    def wait(self) -> str:
        """Wait until one of them ends, which none should; says which."""
        pid, status = os.wait()
        name = next(name for name, process in self.running.items() if process.pid == pid)
        return f"the {name} has ended ({os.waitstatus_to_exitcode(status)}); see {self.folder / name}.log"

    def end(self) -> None:
        """End all of them, the last first, and whatever they leave behind in their sessions."""
        for process in reversed(self.running.values()):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def write(self, name: str, **content: Any) -> str:
        """Write a YAML file; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return str(path)


def main() -> None:
    """Start all three, say where they are, and wait."""
    os.umask(0o077)
    stage = Stage(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".manager").absolute())
    stage.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        broker = start_broker(stage)
        start_manager_and_node(stage, broker)
        sys.exit(stage.wait())
    except KeyboardInterrupt:
        print("\nending all three")
    finally:
        stage.end()


def start_broker(stage: Stage) -> dict[str, Any]:
    """Start the broker that is wanted, or the first that is there; returns its `broker_connection`."""
    kind = os.environ.get("BROKER") or next(filter(lambda kind: find(f"{kind}-server"), BROKERS), "nats")
    program, port = find(f"{kind}-server"), free_port()
    connection: dict[str, Any] = {"type": kind, "host": "127.0.0.1", "port": port}
    if kind not in BROKERS or program is None:
        sys.exit(f"There is no {kind}-server here; `sh tools/servers check` prints how to install one.")
    if kind == "nats":
        stage.run("broker", program, "-a", "127.0.0.1", "-p", str(port))
    elif kind == "redis":
        stage.run("broker", program, "--bind", "127.0.0.1", "--port", str(port), "--save", "")
    else:
        start_rabbitmq(stage, program, port)
        connection |= {"user": "guest", "password": "guest"}  # may come from this machine only
    return connection


def start_rabbitmq(stage: Stage, program: str, port: int) -> None:
    """RabbitMQ, and its name server (epmd): the one that it starts by itself would stay behind."""
    home, names = stage.folder / "rabbitmq", str(free_port())
    local = {"HOME": str(home), "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": names}
    home.mkdir(exist_ok=True)
    stage.run("names", find("epmd") or "epmd", environ=local)
    environ = {
        "RABBITMQ_NODENAME": "manager@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    stage.run("broker", program, environ=local | environ)


def start_manager_and_node(stage: Stage, broker: dict[str, Any]) -> None:
    """Start both, and say where everything is."""
    kept = stage.folder / "secrets.yaml"
    if not kept.exists():
        stage.write(kept.name, key=secrets.token_urlsafe(24), password=secrets.token_urlsafe(12))
    secret, door = yaml.safe_load(kept.read_text()), listen(9000)
    url, project = f"http://127.0.0.1:{door.getsockname()[1]}", {"id": "demo", "key": secret["key"], "name": "Demo"}
    settings = {"project": project, "broker_connection": broker, "password": secret["password"], "jobs": EVENTS}
    manager = stage.write("manager.yaml", **settings, fd=door.fileno())
    with door:
        stage.run("manager", sys.executable, "-m", "examples.job_manager", manager, handed=(door.fileno(),))
    credential = {"project_id": "demo", "secret_key": secret["key"]}
    node = stage.write("node/config.yaml", end_point=url, credential=credential, jobs=JOBS)
    stage.run("node", sys.executable, "-m", "supervisor", "--config", node)
    print(f"broker   {broker['type']} on 127.0.0.1:{broker['port']}")
    print(f"manager  {url}   user admin, password {secret['password']}")
    print(f"node     {node}   log in {stage.folder / 'node.log'}")
    print("Ctrl-C ends all three.", flush=True)


def find(program: str) -> str | None:
    """Where a program is."""
    return shutil.which(program, path=os.pathsep.join(PLACES))


def free_port() -> int:
    """A port that nobody has; the server that gets it finds it so."""
    with listen() as probe:
        port: int = probe.getsockname()[1]
        return port


def listen(wanted: int = 0) -> socket.socket:
    """Listen on a port: the wanted one if that may be, else one that the kernel gives to no outgoing connection."""
    for port in [wanted] * (wanted > 0) + random.sample(range(10240, 32768), 100):
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    sys.exit("No port is free.")


if __name__ == "__main__":
    main()
