"""Fixtures for tests of commands that speak to a Job Manager: the stand-in of one, and a shell to run them in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.managers import Manager, managing
from tests.terminal import Shell


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let commands get Ctrl-C, also where the tests themselves were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def manager() -> Iterator[Manager]:
    """A Job Manager."""
    with managing() as manager:
        yield manager


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs commands in the test's own folder."""
    return Shell(tmp_path)
