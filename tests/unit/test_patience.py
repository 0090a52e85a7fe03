"""How long a silent connection is trusted: the table, and what the system says of a real one."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import eventually
from worker.brokers.patience import PATIENCE, UNKNOWN, Sent, is_patient, sent_over

LIMIT_S = 3.0
TABLE = [
    ("silent, and all is acknowledged", LIMIT_S, Sent(False, 9), Sent(False, 9), True),
    ("silent for ten seconds, and what we send is acknowledged", 10.0, Sent(True, 8), Sent(True, 9), True),
    ("silent for too long", PATIENCE * LIMIT_S, Sent(False, 8), Sent(False, 9), False),
    ("nothing is acknowledged", LIMIT_S, Sent(False, 9), Sent(True, 9), False),
    ("nothing is acknowledged, after ten seconds", 10.0, Sent(True, 9), Sent(True, 9), False),
    ("the system does not tell", 10.0, UNKNOWN, UNKNOWN, True),
    ("the system does not tell, for too long", PATIENCE * LIMIT_S, UNKNOWN, UNKNOWN, False),
]


@pytest.mark.parametrize(
    ("silent_s", "before", "now", "waits"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_silent_server_gets_more_time_than_a_dead_link(silent_s: float, before: Sent, now: Sent, waits: bool) -> None:
    assert is_patient(silent_s, before, now, LIMIT_S) is waits


def test_the_system_knows_what_its_peer_has_acknowledged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as link:
        before = sent_over(link).acknowledged_bytes
        link.sendall(b"nobody reads this")
        eventually(lambda: sent_over(link) == Sent(False, before + 17))
    assert sent_over(link) == UNKNOWN
