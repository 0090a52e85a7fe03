"""Which releases a node takes, and what it makes of one that it has taken: tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.release.decide import Ground, decide, share_of
from job_item.release.marker import TRIES_MAX, Marker, Staged, parse_marker
from tests.releases import RELEASE
from tests.unit.test_release import VERSIONS

GROUND = Ground(
    version="1.4.1",
    channel="stable",
    platform="linux-x86_64",
    python=(3, 11),
    canary=100.0,
    share=99.99,
    size_max_bytes=1234,
    sequence=6,
    refused=frozenset(),
)
NEW, OLD = Staged("1.4.2", "a" * 64), Staged("1.4.1", "b" * 64)


def codes(release: dict[str, Any], ground: dict[str, Any]) -> list[str]:
    return [objection.code for objection in decide(replace(RELEASE, **release), replace(GROUND, **ground))]


@pytest.mark.parametrize(
    ("release", "ground", "expected"),
    [
        ({}, {}, []),
        ({"platform": "any"}, {}, []),
        ({"python": "3.9"}, {"python": (3, 14)}, []),
        ({}, {"share": 9.99, "canary": 10.0}, []),
        ({"version": "1.4.10"}, {"version": "1.4.9"}, []),
        ({"channel": "beta"}, {}, ["ERR-REL-004"]),
        ({"platform": "linux-aarch64"}, {}, ["ERR-REL-004"]),
        ({"python": "3.12"}, {}, ["ERR-REL-004"]),
        ({"version": "1.4.1"}, {}, ["ERR-REL-005"]),
        ({"version": "1.4"}, {"version": "1.4.0"}, ["ERR-REL-005"]),
        ({"version": "1.4.9"}, {"version": "1.4.10"}, ["ERR-REL-005"]),
        ({"sequence": 6}, {}, ["ERR-REL-006"]),
        ({"sequence": 5}, {}, ["ERR-REL-006"]),
        ({}, {"share": 10.0, "canary": 10.0}, ["ERR-REL-007"]),
        ({}, {"share": 0.0, "canary": 0.0}, ["ERR-REL-007"]),
        ({"size": 1235}, {}, ["ERR-REL-008"]),
        ({}, {"refused": frozenset({RELEASE.sha256})}, ["ERR-REL-014"]),
        ({"channel": "beta", "sequence": 1}, {}, ["ERR-REL-004", "ERR-REL-006"]),
    ],
)
def test_a_release_is_taken_unless_something_speaks_against_it(
    release: dict[str, Any], ground: dict[str, Any], expected: list[str]
) -> None:
    assert codes(release, ground) == expected


@given(VERSIONS, VERSIONS)
def test_no_release_leads_back_to_a_version_that_is_not_newer(one: str, other: str) -> None:
    forth = not codes({"version": one}, {"version": other})
    back = not codes({"version": other}, {"version": one})
    assert not (forth and back)


def test_a_share_is_always_the_same_for_a_node_and_even_over_many() -> None:
    shares = [share_of(f"node-{number}") for number in range(2000)]
    assert shares[7] == share_of("node-7")
    assert all(0 <= share < 100 for share in shares)
    assert 150 < sum(share < 10 for share in shares) < 250


def test_a_version_on_trial_is_confirmed_or_falls_back_to_the_one_before() -> None:
    marker = Marker(current=OLD, is_confirmed=True).stage(NEW, 7, 60.0, at=1.0)
    assert (marker.current, marker.previous, marker.is_on_trial) == (NEW, OLD, True)
    kept = marker.begin_try(2.0).confirm(3.0)
    assert (kept.current, kept.is_on_trial, kept.tries) == (NEW, False, 0)
    back = marker.begin_try(2.0).fall_back("it ended", 3.0)
    assert (back.current, back.previous, back.is_confirmed) == (OLD, None, True)
    assert back.refused == (NEW.sha256,) and back.sequence == 7


def test_without_a_version_before_it_falls_back_to_what_was_installed() -> None:
    back = Marker().stage(NEW, 1, 60.0, 1.0).fall_back("it ended", 2.0)
    assert back.current is None and not back.is_on_trial
    assert back.fall_back("again", 3.0).current is None


def test_a_version_that_was_never_confirmed_is_nothing_to_fall_back_to() -> None:
    newer = Staged("1.4.3", "c" * 64)
    marker = Marker(current=OLD, is_confirmed=True).stage(NEW, 7, 60.0, 1.0).stage(newer, 8, 60.0, 2.0)
    assert (marker.current, marker.previous) == (newer, OLD)


def test_the_number_of_tries_is_bounded_and_a_wanted_end_is_none() -> None:
    marker = Marker().stage(NEW, 1, 60.0, 1.0)
    for _ in range(TRIES_MAX):
        assert not marker.is_exhausted
        marker = marker.begin_try(2.0)
    assert marker.is_exhausted
    assert not marker.take_try_back().is_exhausted


STAGED = st.builds(Staged, VERSIONS, st.from_regex(r"[0-9a-f]{64}", fullmatch=True))


@given(st.none() | STAGED, st.booleans(), st.integers(0, 5), st.lists(st.text(max_size=5), max_size=3))
def test_a_marker_is_read_back_as_it_was_written(
    current: Staged | None, is_confirmed: bool, tries: int, refused: list[str]
) -> None:
    marker = Marker(current, None, is_confirmed, tries, refused=tuple(refused)).begin_try(1.5)
    assert parse_marker(marker.to_bytes()) == marker


@given(st.binary(max_size=100) | st.sampled_from([b"{}", b"[]", b'{"format": 1}', b'{"format": 2}', b"[" * 9999]))
def test_what_is_no_marker_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_marker(raw)


def test_a_marker_names_no_path() -> None:
    raw = Marker(current=NEW).to_bytes().replace(b"1.4.2", b"../..")
    with pytest.raises(ValueError, match="no version"):
        parse_marker(raw)
