"""Handlers for tests: what they do is done in a real node (`tests/nodes.py`)."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''
import ctypes, itertools, os, signal, subprocess, sys, threading, time
from pathlib import Path

from pydantic import BaseModel

import job_item
from job_item import HandlerContext


class Shape(BaseModel):
    width: float
    height: float


class Area(BaseModel):
    area: float


@job_item.handler("AREA")
def area(shape: Shape, context: HandlerContext) -> Area:
    return Area(area=shape.width * shape.height)


@job_item.handler("WHO")
class Who:
    """Says which process it is in, and how often that was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, given: dict, context: HandlerContext) -> list[int]:
        self.asked += 1
        return [os.getpid(), self.asked]


@job_item.handler("GATE")
def gate(given: dict, context: HandlerContext) -> int:
    """Wait for a file."""
    print("waiting", flush=True)
    while not os.path.exists(given["path"]):
        time.sleep(0.01)
    return os.getpid()


@job_item.handler("DO")
def do(given: dict, context: HandlerContext) -> str:
    """Go wrong in the way that is asked for."""
    what = given["what"]
    Path(given.get("pid", os.devnull)).write_text(str(os.getpid()))
    if what == "segfault":
        ctypes.string_at(0)
    elif what == "exit":
        os._exit(3)
    elif what == "spin":
        max(itertools.repeat(1))
    elif what == "allocate":
        bytearray(2 << 30)
    elif what == "fork":
        child = subprocess.Popen(["sh", "-c", "setsid sleep 1000 & echo $!; sleep 1000"], stdout=subprocess.PIPE)
        return child.stdout.readline().decode().strip()
    elif what == "raise":
        raise ValueError("as asked")
    elif what == "leave":
        sys.exit(7)
    elif what == "obey":
        context.cancel.wait(60)
        print("in order", flush=True)
    elif what == "ignore":
        while True:
            time.sleep(0.01)
    elif what == "wrong":
        return 7
    elif what == "large":
        return "x" * given["size"]
    return what


@job_item.handler("PRINT")
def prints(given: dict, context: HandlerContext) -> None:
    name = given["name"]
    print("print", name)
    os.write(1, f"write {name}\\n".encode())
    subprocess.run(["sh", "-c", f"echo shell {name}; echo error {name} >&2"], check=True)
    context.logger.info("log %s", name)


@job_item.handler("CONTEXT")
def contexts(given: dict, context: HandlerContext) -> dict:
    (context.temp_dir / "file").write_text("x")
    context.progress(1, 2, "half")
    context.notify("hello")
    return {
        "task_id": context.task_id, "job_id": context.job_id, "type": context.type, "attempt": context.attempt,
        "data_path": context.data_path, "deadline": context.deadline is not None, "folder": str(context.temp_dir),
        "variable": os.environ["JOB_ITEM_TASK_ID"], "own": os.environ.get("OWN"), "place": os.getcwd(),
        "fds": sorted(int(name) for name in os.listdir("/dev/fd")),
    }


def plain(given: int) -> int:
    return given + 1


def echo(given: dict) -> dict:
    return given
'''


def write(folder: Path, text: str = SOURCE, name: str = "acts.py") -> Path:
    """Put handlers beside the configuration that will be there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path
