"""When a node takes up what its Job Manager offers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.manager.offer import Offer
from supervisor.uptake import PAUSES, Taken, Uptake

OFFER = Offer(4, "v2", "https://m/release")
REFUSED = Taken("2.0", "ERR-REL-003", "Not signed with our key.")
AWAY = Taken("", "ERR-REL-010", "It cannot be fetched.", will_pass=True)


def test_an_offer_is_looked_at_at_once_and_once() -> None:
    seen = Uptake().see(OFFER, "a", 5.0)
    assert seen.due_s == 5.0
    settled = seen.begin().hear(REFUSED, 6.0, 0.0)
    assert settled.due_s is None
    assert settled.see(OFFER, "a", 7.0) == settled


@pytest.mark.parametrize("offer", [None, Offer(4, "v2", "")])
def test_what_lies_nowhere_is_no_offer(offer: Offer | None) -> None:
    assert Uptake().see(offer, "a", 5.0).due_s is None
    assert Uptake().see(OFFER, "a", 5.0).see(offer, "a", 6.0) == Uptake()


@pytest.mark.parametrize(("offer", "digest"), [(Offer(5, "v2", OFFER.link), "a"), (OFFER, "b")])
def test_another_offer_or_other_settings_are_a_new_chance(offer: Offer, digest: str) -> None:
    settled = Uptake().see(OFFER, "a", 5.0).begin().hear(REFUSED, 6.0, 0.0)
    assert settled.see(offer, digest, 7.0).due_s == 7.0


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_what_may_pass_is_tried_again_ever_later(failures: int, draw: float) -> None:
    uptake = Uptake().see(OFFER, "a", 0.0)
    for _ in range(failures):
        uptake = uptake.begin().hear(AWAY, 100.0, draw)
    assert uptake.due_s == 100.0 + PAUSES.delay_s(failures, draw)
    assert uptake.see(OFFER, "a", 101.0) == uptake, "the pause goes on"


def test_a_staged_version_is_no_refusal() -> None:
    assert Taken("2.0").is_staged
    assert not REFUSED.is_staged
    assert Uptake().see(OFFER, "a", 5.0).begin().hear(Taken("2.0"), 6.0, 0.0).due_s is None
