"""The pure rules of the ReefGuide source: claims, ends, deliveries, results, tokens, entries that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.reefguide.api import schemas
from job_item.job import Status
from job_item.reeftokens import REFRESH_LIFE_S, Tokens
from worker.journal import Grant
from worker.reefguide.result import FAILED, LIMIT_BYTES, RESULTS, last_object, result_of
from worker.reefguide.verdicts import Delivery, find_own, judge_delivery, keeps_claim, may_post_failure, why_end
from worker.reefguide.watch import time_left_s
from worker.reefguide.wire import Answer, JobView, Seen, Unreadable, read_granted, read_job, read_jobs


def seen(number: int, *, is_open: bool = True, claimant: str = "me") -> Seen:
    return Seen(number, claimant, "s3://b/k", 60.0, is_open)


def view(status: str, *assignments: Seen) -> JobView:
    return JobView(status, {}, assignments)


# claims


@pytest.mark.parametrize(
    ("job", "number", "expected"),
    [
        (view("IN_PROGRESS", seen(1)), 1, True),
        (view("IN_PROGRESS", seen(1), seen(2)), 1, True),
        (view("IN_PROGRESS", seen(1), seen(2)), 2, False),
        (view("IN_PROGRESS", seen(1, is_open=False), seen(2)), 2, True),  # released, and claimed again
        (view("SUCCEEDED", seen(1, is_open=False), seen(2)), 2, False),
        (view("FAILED", seen(1, is_open=False), seen(2)), 2, False),
        (view("TIMED_OUT", seen(2)), 2, True),  # found again after a long time: its success is still taken
        (view("IN_PROGRESS"), 1, False),
        (view("IN_PROGRESS", seen(1, is_open=False)), 1, False),
    ],
)
def test_of_open_assignments_the_lowest_keeps_the_job(job: JobView, number: int, expected: bool) -> None:
    assert keeps_claim(job, number) is expected


@given(st.sets(st.integers(1, 50), min_size=1), st.data())
def test_exactly_one_of_those_who_look_keeps_the_job(numbers: set[int], data: st.DataObject) -> None:
    job = view("IN_PROGRESS", *map(seen, sorted(numbers)))
    assert sum(keeps_claim(job, number) for number in numbers) == 1


def test_a_claim_without_an_answer_is_found_by_its_name_if_it_is_open_and_not_known() -> None:
    job = view("IN_PROGRESS", seen(1), seen(2, claimant="other"), seen(3, is_open=False), seen(4))
    found = find_own(job, "me", frozenset({1}))
    assert found is not None
    assert found.id == 4
    assert find_own(job, "nobody", frozenset()) is None


# ends


@pytest.mark.parametrize(
    ("job", "is_ended"),
    [
        (None, True),
        (view("IN_PROGRESS", seen(1)), False),
        (view("PENDING", seen(1)), False),
        (view("SUCCEEDED", seen(1), seen(2, is_open=False)), True),
        (view("FAILED", seen(1), seen(2, is_open=False)), True),
        (view("CANCELLED", seen(1)), True),
        (view("TIMED_OUT", seen(1)), False),
        (view("IN_PROGRESS", seen(1, is_open=False)), True),
    ],
)
def test_a_job_whose_result_is_wanted_no_more_is_ended(job: JobView | None, is_ended: bool) -> None:
    assert (why_end(job, 1, "finish") is not None) is is_ended


def test_a_timed_out_job_is_ended_only_where_that_is_wished() -> None:
    assert why_end(view("TIMED_OUT", seen(1)), 1, "cancel")
    assert why_end(view("TIMED_OUT", seen(1)), 1, "finish") is None


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (view("IN_PROGRESS", seen(1)), True),
        (view("PENDING", seen(1)), True),
        (view("SUCCEEDED", seen(1)), False),
        (view("TIMED_OUT", seen(1)), False),
        (view("CANCELLED", seen(1)), False),
        (view("FAILED", seen(1)), False),
        (None, False),
    ],
)
def test_a_failure_is_never_posted_over_a_final_state(job: JobView | None, expected: bool) -> None:
    assert may_post_failure(job) is expected


@pytest.mark.parametrize(
    ("taken_at", "now", "deadline_s", "expected"),
    [(100.0, 100.0, None, 60.0), (100.0, 130.0, None, 30.0), (100.0, 130.0, 10.0, 0.0), (100.0, 50.0, None, 60.0)],
)
def test_a_job_has_the_time_of_its_assignment_or_of_the_setting(
    taken_at: float, now: float, deadline_s: float | None, expected: float
) -> None:
    grant = Grant(1, "a", 1, "TEST", "me", 0.0, taken_at=taken_at, lasts_s=60.0)
    assert time_left_s(grant, deadline_s, now) == expected


# deliveries


def answer(status: int, body: Any = None) -> Answer:
    return Answer(status, b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (answer(200), Delivery.DONE),
        (Answer(200, b"<html>a proxy</html>"), Delivery.ASK),
        (answer(400, {"status": 400, "message": "Assignment already completed!"}), Delivery.ASK),
        (answer(400, {"status": 400, "message": "Invalid result payload for job type TEST"}), Delivery.MISFIT),
        (answer(400, [{"type": "Body", "errors": {}}]), Delivery.REFUSED),
        (answer(404, {"status": 404, "message": "Assignment not found"}), Delivery.REFUSED),
        (Answer(404, b"<html>Cannot POST</html>"), Delivery.AGAIN),  # a proxy, or a server that is being replaced
        (answer(500, {"status": 500, "message": "An unexpected error occurred"}), Delivery.ASK),
        (Answer(502, b"bad gateway"), Delivery.ASK),
        (answer(413), Delivery.MISFIT),
        (answer(403), Delivery.AGAIN),
        (answer(302), Delivery.AGAIN),
    ],
)
def test_what_an_answer_to_a_result_means(given_: Answer, expected: Delivery) -> None:
    assert judge_delivery(given_) is expected


# results

ADRIA = {
    "spatial_metrics_path": "a",
    "reef_boundaries_path": "b",
    "output_result_set_path": "c",
    "available_charts": {"title": "path"},
    "chart_metadata": {
        "k": {"metric_name": "m", "filename": "f", "y_label": "y", "description": "d", "generation_time_seconds": 1}
    },
}
GOOD: dict[str, dict[str, Any]] = {
    "TEST": {},
    "REGIONAL_ASSESSMENT": {"cog_path": "x.tiff"},
    "SUITABILITY_ASSESSMENT": {"geojson_path": "x.geojson"},
    "DATA_SPECIFICATION_UPDATE": {},
    "ADRIA_MODEL_RUN": ADRIA,
}
ODD: tuple[Any, ...] = (None, 1, 1.5, True, "x", [], {}, {"a": 1}, {"k": "v"}, float("inf"))


def concluded(job_type: str, output: bytes, status: Status = Status.FINISH) -> tuple[bytes, str | None]:
    conclusion = result_of(job_type, status, lambda: output)
    return conclusion.body, conclusion.problem


@pytest.mark.parametrize("job_type", schemas.TYPES)
def test_a_result_that_fits_is_posted_as_it_is(job_type: str) -> None:
    body, problem = concluded(job_type, b"working\n" + json.dumps(GOOD[job_type]).encode() + b"\n")
    assert problem is None
    assert json.loads(body) == {"status": "SUCCEEDED", "resultPayload": GOOD[job_type]}


@pytest.mark.parametrize("job_type", ["REGIONAL_ASSESSMENT", "SUITABILITY_ASSESSMENT", "ADRIA_MODEL_RUN"])
@pytest.mark.parametrize("output", [b"", b"done", b'{"x": 1}', b'{"cog_path": 1}', b"[]", b"{", b"\xff}"])
def test_a_result_that_does_not_fit_is_a_failure(job_type: str, output: bytes) -> None:
    body, problem = concluded(job_type, output)
    assert body == FAILED
    assert problem


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [(r"a\u0000b", False), (r"a\\u0000b", True), (r"a\\\u0000b", False), (r"\ud800", False), ("é", True)],
)
def test_a_text_that_the_api_cannot_keep_is_a_failure(path: str, is_taken: bool) -> None:
    body, problem = concluded("REGIONAL_ASSESSMENT", f'{{"cog_path": "{path}"}}'.encode())
    assert (problem is None, body != FAILED) == (is_taken, is_taken)


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_a_number_that_json_does_not_know_is_a_failure(number: str) -> None:
    chart = (
        f'{{"metric_name": "", "filename": "", "y_label": "", "description": "", "generation_time_seconds": {number}}}'
    )
    paths = (
        '"spatial_metrics_path": "", "reef_boundaries_path": "", "output_result_set_path": "", "available_charts": {}'
    )
    body, problem = concluded("ADRIA_MODEL_RUN", f'{{{paths}, "chart_metadata": {{"a": {chart}}}}}'.encode())
    assert body == FAILED
    assert problem is not None


@pytest.mark.parametrize("job_type", ["TEST", "DATA_SPECIFICATION_UPDATE"])
def test_a_type_without_a_result_needs_none(job_type: str) -> None:
    assert json.loads(concluded(job_type, b'{"level": "info"}')[0]) == {"status": "SUCCEEDED", "resultPayload": {}}


@pytest.mark.parametrize("status", [Status.ERROR, Status.TIMEOUT, Status.TERMINATE])
def test_a_failure_carries_null(status: Status) -> None:
    assert concluded("TEST", b"{}", status) == (b'{"status":"FAILED","resultPayload":null}', None)


def test_a_result_above_the_limit_is_a_failure() -> None:
    room = LIMIT_BYTES - len(b'{"status":"SUCCEEDED","resultPayload":{"cog_path":""}}')
    fits, too_long = ({"cog_path": "x" * size} for size in (room, room + 1))
    body, problem = concluded("REGIONAL_ASSESSMENT", json.dumps(fits).encode())
    assert (len(body), problem) == (LIMIT_BYTES, None)
    assert concluded("REGIONAL_ASSESSMENT", json.dumps(too_long).encode())[0] == FAILED


@given(st.sampled_from(schemas.TYPES), st.data())
def test_our_schemas_take_what_the_api_takes_and_nothing_else(job_type: str, data: st.DataObject) -> None:
    result = json.loads(json.dumps(GOOD[job_type]))
    at = data.draw(st.sampled_from([result, *(each for each in result.values() if isinstance(each, dict))]))
    name = data.draw(st.sampled_from([*at, "another"]))
    if data.draw(st.booleans()):
        at[name] = data.draw(st.sampled_from([odd for odd in ODD if odd != float("inf")]))
    else:
        at.pop(name, None)
    try:
        RESULTS[job_type].model_validate_json(json.dumps(result))
        is_taken = True
    except ValueError:
        is_taken = False
    assert is_taken == schemas.RESULTS[job_type].takes(result), result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('log\n{"a": 1}\n\n', {"a": 1}),
        ('{"first": 1}\n{"a": 1}', {"a": 1}),
        ('log\n{\n  "a": {\n    "b": 1\n  }\n}\n', {"a": {"b": 1}}),
        ('{"a": 1}\nlast words', None),
        ("", None),
        ("}", None),
        ('text {"a": 1}', None),
    ],
)
def test_the_result_is_the_object_that_the_output_ends_with(text: str, expected: object) -> None:
    assert last_object(text) == expected


@given(st.text(alphabet='{}[]",:\n a1', max_size=80))
def test_any_output_can_be_looked_at(text: str) -> None:
    assert isinstance(last_object(text), dict | None)


# tokens


def test_a_token_is_renewed_a_minute_before_its_end_or_a_quarter_of_a_short_life() -> None:
    tokens = Tokens.given("a", (1000.0, 1600.0), "r", 0.0)  # the server's clock may be any
    assert (tokens.is_stale(539.0), tokens.is_stale(540.0)) == (False, True)
    short = Tokens.given("a", (1000.0, 1008.0), "r", 0.0)
    assert (short.is_stale(5.9), short.is_stale(6.0)) == (False, True)


def test_a_refresh_token_is_not_used_up_to_its_end() -> None:
    tokens = Tokens.given("a", None, "r", 0.0)
    assert (tokens.may_refresh(46 * 3600.0), tokens.may_refresh(47 * 3600.0)) == (True, False)
    assert not Tokens.given("a", None, None, 0.0).may_refresh(1.0)


def test_a_pause_before_a_log_in_is_bounded_whatever_the_clock_does() -> None:
    assert Tokens().held_up(1000.0, 900.0).login_wait_s(1000.0) == 900.0
    assert Tokens().held_up(1000.0, 1e9).login_wait_s(0.0) == 3600.0


def test_tokens_are_read_as_they_were_written_and_never_last_longer() -> None:
    tokens = Tokens.given("a", None, "r", 1000.0)
    assert Tokens.read(tokens.members(), 1000.0) == tokens
    assert Tokens.read(tokens.members(), 1000.0 - REFRESH_LIFE_S) == Tokens()
    for broken in ({"renew_at": "x"}, {"nothing": 1}):
        with pytest.raises((TypeError, ValueError)):
            Tokens.read(broken, 0.0)


# what the API says


def test_entries_that_cannot_be_read_are_counted_and_left_alone() -> None:
    good = {"id": 1, "type": "TEST", "input_payload": {}}
    jobs, unread = read_jobs({"jobs": [good, {"id": "1"}, None, {**good, "id": True}, {**good, "input_payload": 1}]})
    assert ([job.id for job in jobs], unread) == ([1], 4)


@pytest.mark.parametrize("content", [None, [], {}, {"jobs": None}, {"jobs": {}}])
def test_an_answer_without_a_list_of_jobs_is_unreadable(content: object) -> None:
    with pytest.raises(Unreadable):
        read_jobs(content)


@pytest.mark.parametrize("content", [None, [], {}, {"assignment": {}}, {"assignment": {"id": 1}}])
def test_an_answer_without_an_assignment_is_unreadable(content: object) -> None:
    with pytest.raises(Unreadable):
        read_granted(content)


def test_assignments_are_sorted_and_last_as_long_as_the_servers_clock_says() -> None:
    entry = {
        "id": 2,
        "ecs_task_arn": "me",
        "storage_uri": "s3://b/k",
        "created_at": "2026-01-01T00:00:00.000Z",
        "expires_at": "2026-01-01T04:00:00.000Z",
        "completed_at": None,
    }
    job = read_job({"job": {"status": "IN_PROGRESS", "assignments": [entry, {**entry, "id": 1, "expires_at": "?"}]}})
    assert [(seen.id, seen.lasts_s, seen.is_open) for seen in job.assignments] == [
        (1, 3600.0, True),
        (2, 14400.0, True),
    ]
