"""When a node makes room for another version of itself."""

from __future__ import annotations

from supervisor.departure import Departure


def test_nothing_is_due_before_somebody_has_asked() -> None:
    departure = Departure()
    assert not departure.is_asked
    assert departure.due_s(10.0) is None and not departure.is_due(0.0, 1e9)


def test_it_is_put_off_for_as_long_as_the_settings_say_from_the_first_time_on_that_it_was_asked_for() -> None:
    departure = Departure().ask(100.0).ask(105.0)
    assert departure.is_asked
    assert departure.due_s(10.0) == 110.0
    assert [departure.is_due(10.0, now_s) for now_s in (100.0, 109.9, 110.0)] == [False, False, True]


def test_other_settings_count_while_it_is_put_off() -> None:
    departure = Departure().ask(100.0)
    assert departure.is_due(0.0, 101.0), "drained at once from now on"
    assert not departure.is_due(1000.0, 500.0)


def test_what_is_under_way_is_due_no_more() -> None:
    departure = Departure().ask(100.0).begin()
    assert departure.is_under_way
    assert departure.due_s(10.0) is None and not departure.is_due(10.0, 200.0)
