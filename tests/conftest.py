"""What all tests share: waiting for an event with a deadline, a free port, short-lived folders.

No test sleeps to be safe: `eventually` looks again and again until what it asks for is true, and fails loudly when the
deadline passes.
"""

from __future__ import annotations

import functools
import itertools
import os
import random
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import hypothesis
import pytest
import structlog

from job_item.reefvars import VARIABLES
from tests.lines import Lines

Found = TypeVar("Found")

pytest_plugins = ("tests.artifacts", "tests.brokers.fixtures", "tests.commanding", "tests.reefguide.nodes", "tests.s3")

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the checkout."""

# How long an example takes says something of the machine, not of the code: no test here is a timed one.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


def pytest_configure() -> None:
    """Hear Ctrl-C and the end of a terminal, and let commands hear them, also in the background of a script."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lines:
    """Where several processes run the tests each file has one of them."""
    return Lines(config, log)


def eventually(look: Callable[[], Found], *, within_s: float = 30.0, what: str = "") -> Found:
    """Call `look` until it returns something true, and return that; fail after `within_s` seconds.

    An `AssertionError` inside `look` counts as "not yet", and so does a file that is not there; the last one is shown
    when the deadline passes.
    """
    deadline = time.monotonic() + within_s
    pause_s = 0.001
    reason: AssertionError | FileNotFoundError | None = None
    while True:
        try:
            if found := look():
                return found
            reason = None
        except (AssertionError, FileNotFoundError) as error:
            reason = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s} s: {what or getattr(look, '__name__', look)}") from reason
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.05)


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago.

    None of those that the kernel gives to connections: a server that is started again finds its port free.
    """
    for port in _ports():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports never end")


@functools.cache
def _ports() -> Iterator[int]:
    file = Path("/proc/sys/net/ipv4/ip_local_port_range")
    end = int(file.read_text().split()[0]) if file.exists() else 32768
    ports = range(min(10240, end // 2), end)
    # Each of several processes that run the tests has its own: a port may be used long after it was found free.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = ports[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    first = random.randrange(len(ports))
    return itertools.cycle([*ports[first:], *ports[:first]])


@pytest.fixture
def port() -> int:
    """A free TCP port of the loopback address."""
    return free_port()


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary folder with a short path, for Unix sockets (their paths end at 107 bytes); mode 0700."""
    folder = Path(tempfile.mkdtemp(prefix="ji-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tier() -> Literal["quick", "night"]:
    """How much a soak test does; `SOAK=night make soak` asks for the long form."""
    return "night" if os.environ.get("SOAK") == "night" else "quick"


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Take the node's own variables out of the environment, so that a developer's shell changes no test.

    `JOB_ITEM_PORTABLE` too: what is to hold on the portable path stands in `tests/portable`.
    """
    own = re.compile(r"(JOB_ITEM|JOB_MANAGER)_|(CONFIG_PATH|LOG_LEVEL|WORKER_ID|STATE_DIRECTORY|ECS_.*)$")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if own.match(name) or name in VARIABLES]:
            patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """No test writes its log as another one wanted, or to where that one looked."""
    yield
    structlog.reset_defaults()
