"""What the service manager is told, and when: the pure parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from job_item.link import ExecState
from job_item.policy import Restarts, Window
from supervisor.cues import Node, new_node
from supervisor.lifecycle import step
from supervisor.moves import BecameReady, Died, Event, Heard, Rules, Signalled, Ticked
from supervisor.notify import Wish, take_wish
from supervisor.outlook import Outlook, status_of
from supervisor.progress import Progress
from supervisor.tables import Phase, Room

W, X = Room.WORKER, Room.EXECS
RULES = Rules(drain_grace_s=30.0, kill_time_s=10.0, silence_s=20.0)
URL = "http://127.0.0.1:8080"


def node_after(*events: Event, rooms: tuple[Room, ...] = (W, X)) -> Node:
    node = new_node(RULES, Restarts(early=Window(5, 60.0)), rooms, 0.0)
    for event in (Ticked(), *events):
        node, _ = step(node, event, 0.0)
    return node


READY = (BecameReady(W), BecameReady(X))


def exec_in(state: str) -> ExecState:
    return ExecState("key", "", state, None, 0, None, 0.0)


@pytest.mark.parametrize(
    ("environ", "wish"),
    [
        ({}, Wish()),
        ({"NOTIFY_SOCKET": "/run/systemd/notify"}, Wish("/run/systemd/notify")),
        ({"NOTIFY_SOCKET": "@abstract"}, Wish("\0abstract")),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, Wish()),
        ({"NOTIFY_SOCKET": ""}, Wish()),
        ({"NOTIFY_SOCKET": "@"}, Wish()),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "30000000"}, Wish("/s", 30.0)),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, Wish("/s", 30.0)),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, Wish("/s")),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "soon"}, Wish("/s")),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "0"}, Wish("/s")),
        ({"WATCHDOG_USEC": "30000000"}, Wish()),
    ],
)
def test_the_wish_of_a_service_manager_is_read_and_taken_away(environ: dict[str, str], wish: Wish) -> None:
    environ = {**environ, "LISTEN_FDS": "1", "PATH": "/bin"}
    assert take_wish(environ, 7) == wish
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("events", "was_ready", "words"),
    [
        ((), False, "Starting the job child and the execs child."),
        ((BecameReady(W),), False, "Starting the execs child."),
        (READY, False, f"Serving at {URL}, 1 of 2 execs running."),
        ((*READY, Died(W, -9)), True, "Restarting the job child."),
        ((*READY, Signalled(15)), True, "Draining: no new jobs, running ones may go on for 30 s at most."),
        ((*READY, Signalled(15), Signalled(15)), True, "Stopping: running jobs are being ended."),
        ((*READY, Signalled(3)), True, "Stopping: what is left is being killed."),
        ((*READY, Signalled(15), Died(W, 0), Died(X, 0)), True, "Stopped with exit code 0."),
    ],
)
def test_the_status_is_one_sentence(events: tuple[Event, ...], was_ready: bool, words: str) -> None:
    outlook = Outlook(node_after(*events), URL, (exec_in("running"), exec_in("backoff")))
    assert status_of(outlook, was_ready) == words


def test_the_status_tells_of_settings() -> None:
    outlook = Outlook(node_after(*READY), URL)
    assert "new settings are being brought into force" in status_of(replace(outlook, is_reloading=True), True)
    assert "are not in force" in status_of(replace(outlook, settings_faults=2), True)
    assert status_of(outlook, True) == f"Serving at {URL}."


# Progress


def test_a_node_gets_on_as_long_as_each_room_is_heard_of() -> None:
    node = node_after(*READY)
    progress = Progress.begin(node, 0.0)
    assert progress.is_made(node, 60.0)
    assert not progress.is_made(node, 60.1)
    progress = progress.hear(node, W, 59.0)
    assert progress.idle_rooms(node, 61.0) == (X,)
    assert progress.hear(node, X, 61.0).is_made(node, 61.0)


def test_a_child_that_only_ever_becomes_ready_makes_no_progress() -> None:
    node = node_after(BecameReady(X))
    progress = Progress.begin(node, 0.0).hear(node, W, 50.0)
    assert progress.moments[W] == 0.0


def test_a_room_that_is_gone_holds_up_nobody() -> None:
    node = node_after(*READY, Signalled(15), Died(W, 0))
    assert Progress.begin(node, 0.0).hear(node, X, 100.0).is_made(node, 100.0)


def test_a_long_drain_is_progress_as_long_as_the_children_say_so() -> None:
    node = node_after(*READY, Signalled(15))
    progress = Progress.begin(node, 0.0)
    assert not progress.is_made(node, 3000.0)
    assert progress.hear(node, W, 3000.0).hear(node, X, 3000.0).is_made(node, 3000.0)


def test_killing_is_progress_within_its_bound() -> None:
    node = node_after(*READY, Signalled(3))
    assert node.phase is Phase.KILLING
    assert node.deadline_s is not None
    progress = Progress.begin(node, -1000.0)
    assert progress.is_made(node, node.deadline_s)
    assert not progress.is_made(node, node.deadline_s + 0.1)


def test_a_node_that_was_stopped_is_given_time_anew() -> None:
    node = node_after(*READY)
    assert Progress.begin(node, 0.0).wake(1000.0).is_made(node, 1060.0)


def test_hearing_in_the_lifecycle_and_in_the_progress_are_two_things() -> None:
    node, _ = step(node_after(*READY), Heard(W), 10.0)
    assert node.child(W).deadline_s == 30.0
