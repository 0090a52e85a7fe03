"""The lifecycle where new settings come: who takes them over, who is retired, who comes and goes."""

from __future__ import annotations

from job_item.link import Drain, Retire
from supervisor.moves import (
    BecameReady,
    Died,
    Heard,
    Kill,
    Renew,
    Renewed,
    Signalled,
    Spawn,
    Tell,
    Ticked,
    TookOver,
)
from supervisor.tables import Life, Phase
from tests.lifecycles import RESTARTS, RULES, TERM, History, W, X, renewed, running


def test_children_that_are_ready_take_new_settings_over_in_place() -> None:
    history = running().tell(renewed())
    assert history.look() == [Renew(W), Renew(X)]
    assert history.node.is_adopting
    assert history.tell(TookOver(W)).node.pending() == (X,)
    assert not history.tell(TookOver(X)).node.is_adopting
    assert history.look() == []


def test_a_child_that_is_being_born_is_told_when_it_is_ready() -> None:
    history = History((W,)).tell(Ticked(), renewed(rooms=(W,)))
    assert history.look() == [Spawn(W)]
    assert history.node.is_adopting
    assert history.tell(BecameReady(W)).look() == [Renew(W)]


def test_a_child_that_died_has_a_successor_with_the_new_settings() -> None:
    history = running(W).tell(renewed(rooms=(W,)), Died(W, -9))
    assert history.look() == [Renew(W), Spawn(W)]
    assert not history.node.is_adopting


def test_a_child_that_takes_nothing_over_is_replaced() -> None:
    history = running(W).tell(renewed(rooms=(W,))).wait(19.0).tell(Heard(W)).wait(1.1)
    assert history.look() == [Renew(W), Tell(W, Retire())]
    assert history.tell(Died(W, 0)).look() == [Spawn(W)]


def test_what_cannot_be_taken_over_retires_the_child_and_its_successor_follows_at_once() -> None:
    history = running().tell(renewed(W))
    assert history.look() == [Tell(W, Retire()), Renew(X)]
    assert history.node.pending() == (W, X)
    for _ in range(10):  # jobs take their time
        history.wait(15.0).tell(Heard(W), Heard(X), TookOver(X))
    assert history.look() == []
    assert history.tell(Died(W, 0)).look() == [Spawn(W)]
    assert history.node.child(W).restarts == RESTARTS, "no restart that counts"
    assert history.node.pending() == ()


def test_a_child_that_crashes_while_it_retires_is_replaced_as_always() -> None:
    history = running(W).tell(renewed(W, rooms=(W,)), Died(W, -9))
    assert history.look() == [Tell(W, Retire()), Spawn(W)]
    assert len(history.node.child(W).restarts.late.moments) == 1


def test_a_child_that_hangs_while_it_retires_is_killed_and_replaced() -> None:
    history = running(W).tell(renewed(W, rooms=(W,))).wait(20.1)
    assert history.look() == [Tell(W, Retire()), Kill(W)]
    assert history.tell(Died(W, -9)).look() == [Spawn(W)]


def test_newer_settings_do_not_disturb_a_child_that_retires() -> None:
    history = running(W).tell(renewed(W, rooms=(W,)), renewed(rooms=(W,)), renewed(W, rooms=(W,)))
    assert history.look() == [Tell(W, Retire())]
    assert history.tell(Died(W, 0)).look() == [Spawn(W)]


def test_the_first_exec_starts_an_execs_child_and_the_last_ends_it() -> None:
    history = running(W).tell(renewed())
    assert history.look() == [Renew(W), Spawn(X)]
    history.tell(TookOver(W), BecameReady(X), renewed(rooms=(W,)))
    assert history.look() == [Renew(W), Tell(X, Retire())]
    assert history.tell(Died(X, 0)).look() == []
    assert history.lives() == [Life.READY]


def test_an_execs_child_that_is_wanted_again_before_it_is_gone_has_a_successor() -> None:
    history = running().tell(renewed(rooms=(W,)), renewed())
    history.look()
    assert history.tell(Died(X, 0)).look() == [Spawn(X)]


def test_an_execs_child_that_waits_for_its_birth_is_never_born_when_it_is_not_wanted() -> None:
    history = History().tell(Ticked(), BecameReady(W), Died(X, 1), renewed(rooms=(W,)))
    history.look()
    assert history.wait(5.0).tell(Heard(W)).look() == []
    assert history.lives() == [Life.READY]


def test_a_stop_drains_a_child_that_retires_as_any_other() -> None:
    history = running().tell(renewed(W))
    history.look()
    assert history.tell(Signalled(TERM)).look() == [Tell(W, Drain(30.0))]
    history.tell(Died(W, 0))
    assert history.look() == [Tell(X, Drain(30.0))]
    history.tell(Died(X, 0))
    assert (history.node.phase, history.node.exit_code) == (Phase.STOPPED, 0)


def test_a_node_that_stops_takes_no_new_settings() -> None:
    history = running(W).tell(Signalled(TERM))
    before = history.node
    assert history.tell(renewed(W)).node == before


def test_new_rules_count_for_early_deaths_that_have_been() -> None:
    history = History((W,)).tell(Ticked(), Died(W, 1)).wait(0.06).tell(Died(W, 1))
    history.tell(Renewed(RULES, (2, 60.0), (W,), frozenset())).wait(0.2).tell(Died(W, 1))
    assert history.node.phase is Phase.STOPPED
