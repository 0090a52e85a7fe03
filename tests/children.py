"""Small children for tests of the parent, and a node made of them: `python -m tests.children STATE_DIR OPTIONS`.

Each child writes what it meets into the file `trace` of the state folder: `ROOM PID WORD...`.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from job_item.errors import NodeError
from job_item.link import (
    Adopt,
    Adopted,
    Beat,
    Cancel,
    ChildStart,
    Drain,
    Drained,
    Link,
    NodeState,
    Ready,
    Retire,
    StopNode,
    Swept,
)
from job_item.orders import Answer, ExecOrder, ReloadOrder
from job_item.process import become_subreaper, close_all_on_exec, own_session
from job_item.settings import Settings
from job_item.state import StateFolder

STRAY_SHAPES = {
    "plain": "exec sleep 300",
    "setsid": "exec setsid sleep 300",
    "double fork": "(setsid sleep 300 &) ; exec sleep 300",
    "deaf": "trap '' TERM HUP INT; while :; do sleep 300; done",
}
"""Shell commands whose processes outlive whoever started them."""


class Life:
    """What all test children do, step by step; a test child bends one of the steps."""

    def __init__(self, room: str, start: ChildStart, connection: Any) -> None:
        close_all_on_exec()
        own_session()
        become_subreaper()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.room = room
        self.start = start
        self.connection = connection
        self.link: Link[Any, Any] = Link(connection)
        self.folder = StateFolder(start.state_dir)
        self.lock = self.folder.lock(room)
        self.births = sum(line.startswith(f"{room} ") and " born" in line for line in trace_of(start.state_dir)) + 1
        self.note("born", start.incarnation)

    def note(self, *words: object) -> None:
        line = " ".join(map(str, (self.room, os.getpid(), *words))) + "\n"
        with open(self.start.state_dir / "trace", "ab", buffering=0) as file:
            file.write(line.encode())

    def ready(self) -> Life:
        self.link.send(Ready())
        self.note("ready")
        return self

    def serve(self, deaf_to: tuple[type, ...] = ()) -> None:
        """Beat and obey until told to end, or until the parent is gone."""
        while True:
            if not self.connection.poll(self.start.settings.heartbeat.interval):
                self.link.send(Beat())
                continue
            message = self.link.receive()
            self.meet(message)
            if isinstance(message, deaf_to):
                continue
            match message:
                case None:
                    return
                case Drain() | Cancel() | Retire():
                    self.end(message)
                    return
                case Adopt(packed):
                    self.start = pickle.loads(packed)
                    self.note("adopted", self.start.digest)
                    self.link.send(Adopted(self.start.digest))

    def end(self, order: Drain | Cancel | Retire) -> None:
        """Say that nothing runs any more; a file `busy` in the state folder is what runs, while it is there."""
        while isinstance(order, Retire) and (self.folder.path / "busy").exists():
            if self.connection.poll(0.01):
                message = self.link.receive()
                self.meet(message)
                if message is None or isinstance(message, Drain | Cancel):
                    break
            self.link.send(Beat())
        self.link.send(Drained())

    def meet(self, message: object) -> None:
        match message:
            case None:
                self.note("eof")
            case Swept():
                self.note("swept", *living_strays(self.start.state_dir))
            case Drain(grace_s):
                self.note("drain", f"{grace_s:.3f}")
            case NodeState(worker_pid, execs_pid, execs):
                self.note("state", worker_pid, execs_pid, len(execs))
            case Answer(number, content):
                self.note("answer", number, content)
            case ExecOrder(number, key, verb):
                self.note("order", key, verb)
                if verb != "stop":
                    self.link.send(Answer(number))
            case _:
                self.note(type(message).__name__.lower())


def trace_of(state_dir: Path) -> list[str]:
    """The lines that the children have written so far."""
    try:
        return (state_dir / "trace").read_text().splitlines()
    except FileNotFoundError:
        return []


def living_strays(state_dir: Path) -> list[int]:
    """Which of the strays that were made up to now still live."""
    pids = [int(pid) for line in trace_of(state_dir) if " strays " in line for pid in line.split()[3:]]
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


# Workers


def worker(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Does everything right."""
    Life("worker", start, connection).ready().serve()


def answers(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Answers one connection after the other with its pid; dies of the word `die`."""
    Life("worker", start, connection).ready()
    while True:
        client, _ = api_socket.accept()
        with client:
            if client.recv(10) == b"die":
                os._exit(3)
            client.sendall(str(os.getpid()).encode())


def by_hand(start: ChildStart, connection: None, api_socket: socket.socket) -> None:
    """A room without a parent: answers with its pid; ends with exit code 3 at the word `die`."""
    assert connection is None
    assert start.supervisor_pid is None
    with open(start.state_dir / "trace", "a") as file:
        file.write(f"worker {os.getpid()} born {start.incarnation}\n")
    while True:
        client, _ = api_socket.accept()
        with client:
            if client.recv(10) == b"die":
                sys.exit(3)
            client.sendall(str(os.getpid()).encode())


def stillborn(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    Life("worker", start, connection)
    sys.exit(1)


def misconfigured(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    Life("worker", start, connection)
    sys.exit(78)


def cascades(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    life = Life("worker", start, connection).ready()
    life.link.send(StopNode(76, "an exec with cascade_exit ended"))
    life.serve()


def last_words(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Asks for the end of the node and is gone before anybody can have heard."""
    life = Life("worker", start, connection).ready()
    life.link.send(StopNode(76, "last words"))
    os._exit(0)


def busy_once(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """The first one falls into an endless loop."""
    life = Life("worker", start, connection).ready()
    while life.births == 1:
        pass
    life.serve()


def mute(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Becomes ready and is never heard of again, until there is a file `speak` in the state folder."""
    life = Life("worker", start, connection).ready()
    while not (start.state_dir / "speak").exists():
        time.sleep(0.01)
    life.serve()


def babbles_once(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """The first one says something that cannot be read."""
    life = Life("worker", start, connection).ready()
    if life.births == 1:
        connection.send_bytes(b"no pickle")
    life.serve()


def deaf_to_drain(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    Life("worker", start, connection).ready().serve(deaf_to=(Drain,))


def deaf(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    Life("worker", start, connection).ready().serve(deaf_to=(Drain, Cancel))


def has_strays(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """The first one starts processes that outlive it."""
    life = Life("worker", start, connection)
    if life.births == 1:
        pids = [subprocess.Popen(["sh", "-c", shape]).pid for shape in STRAY_SHAPES.values()]
        life.note("strays", *pids, *eventually_grandchildren(pids))
    life.ready().serve()


def eventually_grandchildren(pids: list[int]) -> list[int]:
    """What the shells have started: one double-forked sleep, one below the deaf shell."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        found = [int(pid) for pid, ppid, args in rows if args == "sleep 300" and int(ppid) in (os.getpid(), *pids)]
        if len(found) >= len(STRAY_SHAPES) + 1:
            return [pid for pid in found if pid not in pids]
        time.sleep(0.005)
    raise TimeoutError("the strays did not come up")


def lists_descriptors(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Notes what a process that it starts, careless of descriptors, is given."""
    life = Life("worker", start, connection)
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", "echo up; read line"], stdin=pipe, stdout=pipe, close_fds=False) as started:
        assert started.stdout is not None
        started.stdout.readline()  # now it has loaded its libraries
        life.note("descriptors", *sorted(os.listdir(f"/proc/{started.pid}/fd")))
        started.kill()
    life.ready().serve()


def deaf_to_adopt(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Takes no new settings over."""
    Life("worker", start, connection).ready().serve(deaf_to=(Adopt,))


def orders(start: ChildStart, connection: Any, api_socket: socket.socket) -> None:
    """Passes on what it finds in the file `order` of the state folder, as JSON; notes the answers."""
    life = Life("worker", start, connection).ready()
    path = start.state_dir / "order"
    while True:
        while not connection.poll(0.01):
            life.link.send(Beat())
            if path.exists():
                order = json.loads(path.read_text())
                path.unlink()
                life.link.send(ReloadOrder(**order) if "is_dry" in order else ExecOrder(**order))
        message = life.link.receive()
        life.meet(message)
        match message:
            case None | Drain() | Cancel() | Retire():
                life.link.send(Drained())
                return
            case Adopt(packed):
                life.link.send(Adopted(pickle.loads(packed).digest))


def execs(start: ChildStart, connection: Any) -> None:
    """An execs child that does everything right."""
    Life("execs", start, connection).ready().serve()


def node(state_dir: Path, options: dict[str, Any]) -> int:
    """Run a node of test children; `options`: `worker`, the name of its function here, `settings`, `alone`."""
    from job_item.load import Loaded, load
    from supervisor import parent
    from supervisor.alone import run_worker
    from supervisor.node import prepare
    from supervisor.tables import Room

    if "config" in options:
        loaded = load(Path(options["config"]), os.environ)
    else:
        quiet = {"api": {"port": 0}, "log": {"format": "json"}, **options.get("settings", {})}
        settings = Settings.model_validate(quiet)
        loaded = Loaded(settings, state_dir / "config.yaml", work_dir=state_dir.parent, state_dir=state_dir)
    names = {Room.WORKER: options.get("worker", "worker"), Room.EXECS: options.get("execs", "execs")}
    entries = {room: f"tests.children:{name}" for room, name in names.items()}
    if options.get("alone"):
        return run_worker(loaded, os.environ, entries[Room.WORKER])
    return parent.run(prepare(loaded, os.environ, entries), os.environ)


def main() -> int:
    from supervisor.cli.failure import tell

    try:
        return node(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except NodeError as error:
        return tell(error)


if __name__ == "__main__":
    sys.exit(main())
