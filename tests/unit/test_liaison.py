"""When the Job Manager is asked again, what is said of it, and what two wishes for a reading come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.manager.offer import Offer, offer_of
from job_item.manager.state import ManagerState
from supervisor.liaison import JITTER, RETRY, Liaison, heard, offered, told
from supervisor.requests import Request, Requests

WELL = ManagerState("https://m", 1.0, ("a",))
AWAY = replace(WELL, code="ERR-MGR-001", failure="It is away.")


class Plan:
    """What of a plan is looked at."""

    def __init__(self, manager: ManagerState | None, refresh_s: float = 60.0) -> None:
        self.manager = manager
        self.refresh_s = refresh_s


def plan(manager: ManagerState | None, refresh_s: float = 60.0) -> Any:
    return Plan(manager, refresh_s)


def test_without_a_manager_nobody_is_asked() -> None:
    liaison = Liaison.begin(plan(None), 5.0, 0.5)
    assert liaison.due_s is None and not liaison.is_due(1e9)


@given(st.floats(0, 1, exclude_max=True), st.floats(1, 1e6))
def test_it_is_asked_again_after_the_pause_that_the_settings_say(draw: float, refresh_s: float) -> None:
    liaison = Liaison.begin(plan(WELL, refresh_s), 5.0, draw)
    assert liaison.due_s is not None
    assert refresh_s * (1 - JITTER) <= liaison.due_s - 5.0 + 1e-6
    assert liaison.due_s - 5.0 <= refresh_s + 1e-6


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40), st.floats(1, 1e4))
def test_while_it_is_away_the_pauses_grow_to_the_usual_one(draws: list[float], refresh_s: float) -> None:
    liaison = Liaison.begin(plan(WELL, refresh_s), 0.0, 0.0)
    for failures, draw in enumerate(draws, 1):
        liaison = liaison.hear(plan(WELL, refresh_s), 0.0, draw, is_away=True)
        assert liaison.due_s is not None and liaison.failures == failures
        assert 0 < liaison.due_s <= min(refresh_s, RETRY.cap_s)
    assert liaison.hear(plan(WELL, refresh_s), 0.0, 0.0, is_away=False).failures == 0


def test_a_new_manager_that_does_not_answer_is_asked_again() -> None:
    assert Liaison().hear(plan(None), 0.0, 0.0, is_away=True).due_s == 2.0


def test_while_it_is_being_asked_it_is_not_asked_again_for_a_long_time() -> None:
    liaison = Liaison.begin(plan(WELL), 0.0, 0.0).ask(60.0)
    assert not liaison.is_due(60.0 + RETRY.cap_s - 1) and liaison.is_due(60.0 + RETRY.cap_s)


@pytest.mark.parametrize(
    ("before", "now", "event"),
    [
        (None, None, None),
        (WELL, None, None),
        (None, WELL, "manager.found"),
        (None, AWAY, "manager.lost"),
        (WELL, WELL, None),
        (WELL, AWAY, "manager.lost"),
        (AWAY, AWAY, None),
        (AWAY, replace(AWAY, failure="It is silent."), "manager.lost"),
        (AWAY, WELL, "manager.found"),
        (WELL, replace(WELL, answered_at=2.0, events=()), None),
    ],
)
def test_only_changes_are_said(before: ManagerState | None, now: ManagerState | None, event: str | None) -> None:
    line = told(before, now)
    assert (line.event if line else None) == event
    if event == "manager.lost":
        assert line is not None and line.code == "ERR-MGR-008"


@pytest.mark.parametrize(
    ("answer", "offer"),
    [
        ((0, "", ""), None),
        ((3, "v9", "http://m/binary"), None),
        ((4, "", ""), Offer(4)),
        ((4, "v0.2", "https://u:p@m:8/a/b?token=t#f"), Offer(4, "v0.2", "https://m:8/a/b")),
        ((4, "", "file:///etc/passwd"), Offer(4)),
        ((4, "", "http://[m"), Offer(4)),
    ],
)
def test_only_a_number_above_ours_is_an_offer_and_its_link_shows_no_secrets(
    answer: tuple[int, str, str], offer: Offer | None
) -> None:
    assert offer_of(*answer) == offer


def test_each_offer_is_said_once() -> None:
    offer = Offer(4, "v0.2")
    line = offered(None, offer)
    assert line is not None and (line.event, line.code) == ("update.offered", "ERR-UPD-002")
    assert line.fields["reason"] == offer.sentence
    assert "version 4 (v0.2)" in offer.sentence and "version 3" in offer.sentence
    assert offered(offer, offer) is None and offered(offer, None) is None
    assert offered(offer, Offer(5)) is not None


def test_settings_that_were_read_with_its_last_answer_say_nothing_of_the_manager() -> None:
    unasked = replace(WELL, has_been_asked=False)
    seen = heard(AWAY, unasked)
    assert seen is not None and (seen.code, seen.failure) == (AWAY.code, AWAY.failure)
    assert heard(AWAY, WELL) == WELL
    other = replace(unasked, url="https://n")
    assert heard(AWAY, other) == other


def test_readings_that_join_ask_if_one_of_them_does_and_are_routine_if_both_are() -> None:
    edit: Request[int] = Request(asks_manager=False)
    routine: Request[int] = Request(is_routine=True)
    order = Request((7,))
    nothing: Requests[int] = Requests()
    joined = nothing.ask(edit).ask(routine)
    assert joined.waiting == (Request((), asks_manager=True, is_routine=False),)
    assert joined.ask(order).waiting == (Request((7,), asks_manager=True, is_routine=False),)
    assert nothing.ask(routine).ask(routine).waiting == (routine,)
