"""The lifecycle: its table row by row, then whole histories with a clock that is a number."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.codes import REGISTER
from job_item.link import Cancel, Drain
from supervisor.moves import (
    Babbled,
    BecameReady,
    Born,
    Died,
    Event,
    Heard,
    Kill,
    Renew,
    Renewed,
    Rules,
    Say,
    Signalled,
    Spawn,
    StopAsked,
    Tell,
    Ticked,
    TookOver,
    Woke,
)
from supervisor.tables import Life, News, Phase, Room
from tests.lifecycles import INT, TERM, History, W, X, renewed, running


def test_both_children_are_started_the_worker_first() -> None:
    assert History().tell(Ticked()).look() == [Spawn(W), Spawn(X)]


def test_a_node_without_execs_has_one_child() -> None:
    assert History((W,)).tell(Ticked()).look() == [Spawn(W)]


@pytest.mark.parametrize("exit_code", [-9, 0, 1, 70, 75, None])
def test_a_child_that_was_ready_is_replaced_at_once(exit_code: int | None) -> None:
    history = running().tell(Died(W, exit_code))
    assert history.look() == [Spawn(W)]
    assert history.lives() == [Life.STARTING, Life.READY]


def test_a_child_that_dies_at_birth_is_backed_off_and_given_up() -> None:
    history = History().tell(Ticked(), BecameReady(X))
    for pause_s in (0.05, 0.1, 0.2, 0.4, 0.8):
        history.look()
        assert history.tell(Died(W, 1)).look() == []
        assert history.wait(pause_s * 0.99).look() == []
        assert history.wait(pause_s * 0.02).look() == [Spawn(W)]
    history.tell(Died(W, 1))
    assert history.look() == [Tell(X, Drain(30.0))]
    history.tell(Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 1)


def test_a_successor_must_become_ready_again_before_it_counts_as_ready() -> None:
    history = running().tell(Died(W, -9))
    assert history.look() == [Spawn(W)]
    assert history.tell(Died(W, -9)).look() == []
    assert history.wait(0.051).look() == [Spawn(W)]


def test_after_100_restarts_in_a_minute_the_next_waits_for_room() -> None:
    history = running(W)
    for _ in range(100):
        assert history.tell(Died(W, -9)).look() == [Spawn(W)]
        history.tell(BecameReady(W)).wait(0.1)
        history.tell(Heard(W))
    assert history.look() == []
    assert history.tell(Died(W, -9)).look() == []
    assert history.wait(49.9).look() == []
    assert history.wait(0.2).look() == [Spawn(W)]
    assert history.node.phase is Phase.RUNNING


def test_exit_75_before_ready_is_a_restart_at_once() -> None:
    assert History((W,)).tell(Ticked(), Died(W, 75)).look() == [Spawn(W), Spawn(W)]


@pytest.mark.parametrize("exit_code", [76, 78])
def test_a_child_may_end_the_node_by_its_exit_code(exit_code: int) -> None:
    history = running().tell(Died(W, exit_code))
    assert history.look() == [Tell(X, Drain(30.0))]
    history.tell(Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, exit_code)


def test_a_child_may_ask_the_node_to_stop() -> None:
    history = running().tell(StopAsked(X, 76, "cascade"), StopAsked(W, 3, "too late"))
    assert history.look() == [Tell(W, Drain(30.0))]
    history.tell(Died(W, 0))
    assert history.look() == [Tell(X, Drain(30.0))]
    history.tell(Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 76)


def test_a_child_may_pass_on_that_somebody_asks_for_an_ordinary_stop_also_twice() -> None:
    history = running().tell(StopAsked(W, 0, "asked to"), StopAsked(W, 0, "asked to"))
    assert history.look() == [Tell(W, Drain(30.0))]
    history.tell(Died(W, 0), Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 0)


def test_the_first_signal_drains_the_worker_then_the_execs_and_exits_0() -> None:
    history = running().tell(Signalled(TERM))
    assert history.look() == [Tell(W, Drain(30.0))]
    history.wait(12.0).tell(Died(W, 0))
    assert history.look() == [Tell(X, Drain(18.0))]
    history.tell(Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 0)
    assert history.node.next_deadline_s() is None


def test_the_second_signal_cancels_all_at_once_and_exits_128_plus_n() -> None:
    history = running().tell(Signalled(TERM), Signalled(INT))
    assert history.look() == [Tell(W, Drain(30.0)), Tell(W, Cancel()), Tell(X, Cancel())]
    history.tell(Died(W, 0), Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 130)


def test_the_third_signal_kills_all_at_once() -> None:
    history = running().tell(Signalled(INT), Signalled(INT))
    history.look()
    history.tell(Signalled(TERM), Signalled(TERM))
    assert history.look() == [Kill(W), Kill(X)]
    history.tell(Died(W, -9), Died(X, -9))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 143)


def test_a_signal_to_a_node_that_stops_by_itself_changes_nothing_and_the_next_cancels() -> None:
    history = running(W).tell(StopAsked(W, 76, "cascade"))
    history.look()
    assert history.tell(Signalled(TERM)).look() == []
    assert history.tell(Signalled(TERM)).look() == [Tell(W, Cancel())]


def test_a_drain_that_takes_too_long_is_cut_short_by_killing() -> None:
    history = running().tell(Signalled(TERM))
    for _ in range(4):  # the child still beats
        history.wait(9.9).tell(Heard(W), Heard(X))
    assert history.look() == [Tell(W, Drain(30.0))]
    history.wait(0.5)
    assert history.look() == [Kill(W), Kill(X)]
    history.tell(Died(W, -9), Died(X, -9))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 1)


def test_a_cancel_is_bounded_too() -> None:
    history = running(W).tell(Signalled(TERM), Signalled(TERM))
    history.look()
    history.wait(10.1)
    assert history.look() == [Kill(W)]


def test_a_process_that_survives_sigkill_does_not_keep_the_node() -> None:
    history = running(W).tell(Signalled(TERM), Signalled(TERM), Signalled(TERM)).wait(10.1)
    assert history.node.phase is Phase.STOPPED
    assert ("node.overdue", "ERR-SUP-010") in history.said()


def test_a_hung_child_is_killed_and_after_its_confirmed_death_replaced() -> None:
    history = running().wait(19.9).tell(Heard(X)).wait(0.2)
    assert history.look() == [Kill(W)]
    assert history.wait(1.0).look() == []
    assert history.tell(Died(W, -9)).look() == [Spawn(W)]


def test_a_child_that_never_says_a_word_is_hung_too() -> None:
    history = History((W,)).tell(Ticked()).wait(20.1)
    assert history.look() == [Spawn(W), Kill(W)]
    assert history.tell(Died(W, -9)).look() == []
    assert history.wait(0.06).look() == [Spawn(W)]


def test_what_a_birth_took_is_no_silence_of_the_child() -> None:
    """A first child waits for the preload of the forkserver; on a busy machine that may take longer than the bound."""
    history = History((W,)).tell(Ticked()).wait(19.0).tell(Born(W)).wait(19.0)
    assert history.look() == [Spawn(W)]
    assert history.wait(1.1).look() == [Kill(W)]


def test_a_child_that_hangs_in_its_drain_is_killed_and_the_exit_code_tells() -> None:
    history = running(W).tell(Signalled(TERM)).wait(20.1)
    assert history.look() == [Tell(W, Drain(30.0)), Kill(W)]
    history.tell(Died(W, -9))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 1)


@pytest.mark.parametrize("room", [W, X])
def test_a_child_that_dies_in_the_drain_has_no_successor(room: Room) -> None:
    history = running().tell(Signalled(TERM))
    history.look()
    history.tell(Died(room, -11))
    assert not [action for action in history.look() if isinstance(action, Spawn)]
    other = X if room is W else W
    history.tell(Died(other, 0)).wait(100.0)
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 1)


def test_a_child_that_is_backed_off_is_not_started_once_the_node_stops() -> None:
    history = History().tell(Ticked(), BecameReady(W), Died(X, 1), Signalled(TERM))
    assert history.look() == [Spawn(W), Spawn(X), Tell(W, Drain(30.0))]
    assert history.lives() == [Life.DRAINING, Life.GONE]
    history.tell(Died(W, 0))
    assert history.node.phase is Phase.STOPPED


def test_a_child_that_does_not_speak_our_language_is_killed() -> None:
    assert running(W).tell(Babbled(W)).look() == [Kill(W)]


def test_late_words_of_a_dead_or_killed_child_change_nothing() -> None:
    history = running(W).tell(Babbled(W))
    before = history.node
    assert history.tell(Heard(W), BecameReady(W), Babbled(W)).node == before


def test_what_a_death_says_carries_a_code_and_an_ordered_end_none() -> None:
    assert running(W).tell(Died(W, -9)).said() == [("child.died", "ERR-SUP-001")]
    assert running(W).tell(Signalled(TERM), Died(W, 0)).said() == [("node.draining", None), ("child.ended", None)]


def test_a_node_that_stops_says_what_a_further_signal_does() -> None:
    def words(*events: Event) -> list[object]:
        return [
            action.fields.get("next_signal")
            for action in running(W).tell(*events).look_all()
            if isinstance(action, Say)
        ]

    assert words(Signalled(TERM)) == ["ends running jobs"]
    assert words(Signalled(INT), Signalled(INT)) == ["ends running jobs", "kills what is left"]
    assert None in words(StopAsked(W, 0, "idle")), "the first signal would change nothing"


EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Ticked()),
    st.builds(Born, st.sampled_from(Room)),
    st.builds(Heard, st.sampled_from(Room)),
    st.builds(BecameReady, st.sampled_from(Room)),
    st.builds(Babbled, st.sampled_from(Room)),
    st.builds(Died, st.sampled_from(Room), st.sampled_from([None, 0, 1, -9, 75, 76, 78])),
    st.builds(StopAsked, st.sampled_from(Room), st.sampled_from([0, 1, 76]), st.just("why")),
    st.builds(Signalled, st.sampled_from([TERM, INT])),
    st.builds(
        renewed,
        rooms=st.sampled_from([(W,), (W, X)]),
        rules=st.builds(Rules, st.floats(0, 60), st.floats(0, 20), st.floats(1, 30)),
    ),
    st.builds(renewed, st.sampled_from(Room)),
    st.builds(TookOver, st.sampled_from(Room)),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 30)), max_size=40))
def test_no_history_leads_to_two_processes_of_a_room_or_to_a_lost_one_or_to_a_node_that_never_stops(
    story: Sequence[tuple[Event, float]],
) -> None:
    history, alive, stale = History(), set[Room](), set[Room]()
    wanted = {W, X}

    def happen(event: Event) -> None:
        nonlocal wanted
        if (
            isinstance(event, Died | Born | Heard | BecameReady | Babbled | StopAsked | TookOver)
            and event.room not in alive
        ):
            return  # nobody is there to do that
        if isinstance(event, Died):
            alive.discard(event.room)
        phase = history.node.phase
        if isinstance(event, Renewed) and phase is Phase.RUNNING:
            wanted = set(event.rooms)
            stale.update(alive)
        for action in history.tell(event).look_all():
            match action:
                case Spawn(room):
                    assert room not in alive, "a second process of the room"
                    assert phase is Phase.RUNNING, "a birth while the node stops"
                    alive.add(room)
                    stale.discard(room)
                case Renew(room):
                    assert room in alive, "nobody is there to hear it"
                    stale.discard(room)
                case Kill(room) | Tell(room, _):
                    assert room in alive, "nobody is there to hear it"
                case Say(_, code, _):
                    assert code is None or code in REGISTER
        assert history.node.phase >= phase, "a stop was taken back"
        if history.node.phase is Phase.RUNNING:
            lives = {child.room: child.life for child in history.node.children}
            assert wanted <= lives.keys(), "a child was lost"
            assert alive <= lives.keys(), "a process that nobody knows"
            for room in stale & alive & wanted:
                is_told_later = history.node.child(room).news is News.DUE
                is_leaving = lives[room] in (Life.RETIRING, Life.KILLED)
                assert is_told_later or is_leaving, "a child that stays has old settings"

    for event, pause_s in story:
        happen(event)
        history.now_s += pause_s
        happen(Ticked())
    for _ in range(3):
        happen(Signalled(TERM))
    history.now_s += 11.0
    happen(Ticked())
    assert history.node.phase is Phase.STOPPED


# QUIT, and time in which nobody could be heard


def test_quit_kills_at_once_also_in_a_drain() -> None:
    for history in (running(), running().tell(Signalled(TERM))):
        history.saw.clear()
        history.tell(Signalled(3))
        assert set(history.look()) == {Kill(W), Kill(X)}
        assert (history.node.phase, history.node.exit_code) == (Phase.KILLING, 131)


def test_after_a_stop_of_the_parent_nobody_is_hung_and_no_bound_is_over() -> None:
    history = running().tell(Signalled(TERM))
    history.saw.clear()
    history.now_s += 3600.0
    history.tell(Woke(3600.0), Ticked())
    assert history.look_all() == []
    assert history.node.deadline_s == 3640.0
    assert history.wait(20.1).lives()[0] is Life.KILLED, "who then stays silent is hung all the same"


def test_waking_brings_no_dead_child_back_and_puts_off_no_start() -> None:
    history = History().tell(Ticked(), BecameReady(X), Died(W, 1))
    due_s = history.node.child(W).deadline_s
    history.tell(Woke(0.0))
    assert history.node.child(W).deadline_s == due_s


ANY_EVENT = st.one_of(
    st.sampled_from([Ticked(), Woke(0.0), Woke(50.0)]),
    st.builds(Signalled, st.sampled_from([TERM, INT, 3])),
    st.builds(Heard, st.sampled_from([W, X])),
    st.builds(BecameReady, st.sampled_from([W, X])),
    st.builds(Babbled, st.sampled_from([W, X])),
    st.builds(StopAsked, st.sampled_from([W, X]), st.just(76), st.just("so")),
    st.floats(0.0, 30.0),
)


@given(st.lists(ANY_EVENT, max_size=60), st.lists(st.sampled_from([TERM, INT]), min_size=3, max_size=5))
def test_any_history_of_signals_ends_and_loses_no_child(events: list[Event | float], stops: list[int]) -> None:
    """Children here obey only SIGKILL; whoever was spawned must be seen dead, or be given up by name."""
    history = History()
    living: set[Room] = set()

    def obey() -> None:
        while history.saw:
            action = history.saw.pop(0)
            if isinstance(action, Spawn):
                assert action.room not in living, "two at a time"
                living.add(action.room)
            elif isinstance(action, Kill):
                living.discard(action.room)
                history.tell(Died(action.room, -9))

    history.tell(Ticked())
    obey()
    for event in events:
        if isinstance(event, float):
            history.wait(event)
        elif getattr(event, "room", None) in (None, *living):
            history.tell(event)
        obey()
    third_s = history.now_s
    for number in stops:
        history.tell(Signalled(number))
        obey()
    assert history.node.phase is Phase.STOPPED
    assert history.now_s == third_s, "the third signal needs no time"
    assert not living
