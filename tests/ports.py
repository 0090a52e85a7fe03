"""Ports that are taken, for tests of who gives way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from tests.conftest import eventually


@contextmanager
def default_port_taken() -> Iterator[None]:
    """Somebody listens on the default port of the API: we, unless another program does already."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(AssertionError):
            eventually(partial(_is_ours, taken), within_s=30)
        yield


def _is_ours(taken: socket.socket) -> bool:
    """Whether it listens now: a node of another test may have had the port, and lets it go sooner or later."""
    try:
        taken.bind(("127.0.0.1", 8080))
    except OSError:
        return False
    taken.listen()
    return True
