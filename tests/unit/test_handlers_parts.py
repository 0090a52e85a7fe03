"""The parts of the handlers that can be looked at alone: context, duties, parcels, the page."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import job_item
from examples.reefguide.api import StandIn
from job_item.errors import NodeError, Unavailable
from job_item.handlers import backtrace, parcel
from job_item.handlers.clients import api_of, storage_of
from job_item.handlers.context import Cancelled, Errand, Facts, HandlerContext, Kit
from job_item.handlers.duty import make_duty
from job_item.handlers.page import Page
from job_item.handlers.trial import trial
from job_item.job import Status, Usage
from tests.conftest import free_port
from worker.journal.values import Settlement


def context_of(facts: Facts | None = None, timeout_s: float | None = None) -> HandlerContext:
    said: list[str] = []
    context = HandlerContext(Errand("T1", "AREA", 2, timeout_s, facts or Facts()), Kit(storage_of, api_of), said.append)
    context.__dict__["said"] = said
    return context


def test_a_context_passes_on_what_the_source_knows() -> None:
    facts = Facts(storage_uri="s3://b/k", assignment_id="9", job_id="4", aws_region="r", cache_path="/c")
    context = context_of(facts)
    assert (context.task_id, context.job_id, context.assignment_id) == ("T1", "4", "9")
    assert (context.storage_uri, context.aws_region, context.cache_path, context.data_path) == (
        "s3://b/k",
        "r",
        "/c",
        None,
    )


def test_the_deadline_is_the_nearer_of_the_two() -> None:
    assert context_of().remaining_s is None
    assert context_of().deadline is None
    left_s = context_of(Facts(deadline_at=time.time() + 50_000), timeout_s=5_000).remaining_s
    assert left_s is not None and 4_000 < left_s <= 5_000
    left_s = context_of(Facts(deadline_at=time.time() + 500), timeout_s=5_000).remaining_s
    assert left_s is not None and 0 < left_s <= 500


def test_what_a_job_does_not_have_is_refused_with_a_sentence() -> None:
    for member in ("storage", "api"):
        with pytest.raises(NodeError) as raised:
            getattr(context_of(), member)
        assert raised.value.code == "ERR-HND-015"


def test_a_wait_ends_when_the_job_is_to_end() -> None:
    context = context_of()
    assert not context.cancel.wait(0.01)
    context.cancel.check()
    threading.Timer(0.02, context.cancel.set).start()
    assert context.cancel.wait(30)
    with pytest.raises(Cancelled):
        context.cancel.check()


def test_the_built_in_job_ends_when_it_is_to_end() -> None:
    duty, context = make_duty(trial), context_of()
    context.cancel.set()
    with pytest.raises(Cancelled):
        duty.call(duty.input.validate_json(b'{"id": 1, "more": 2}'), context)
    with pytest.raises(ValidationError):
        duty.input.validate_json(b"{}")


def test_the_folder_of_a_run_is_gone_after_it() -> None:
    context = context_of()
    folder = context.temp_dir
    (folder / "a").write_text("b")
    context.close()
    assert not folder.exists()


def test_the_words_of_authors_are_in_the_package() -> None:
    assert job_item.HandlerContext is HandlerContext
    assert callable(job_item.handler)


@pytest.mark.parametrize("size", [0, 100, parcel.SMALL_BYTES - 200, parcel.SMALL_BYTES + 1, 3 << 20])
def test_parcels_of_every_size_arrive_whole(size: int) -> None:
    ours, theirs = parcel.make_line()
    with ours, theirs:
        parcel.send(ours, ("a", b"x" * size, None, {"b": 1.5}))
        parcel.send(ours, ("next",))
        inlet = parcel.Inlet(theirs)
        assert inlet.take() == ("a", b"x" * size, None, {"b": 1.5})
        assert inlet.take() == ("next",)
        ours.close()
        assert inlet.take() is None


def test_the_page_says_where_output_belongs(tmp_path: Path) -> None:
    page = Page()
    assert page.place() == ("", 0)
    page.put(str(tmp_path / "ü").encode(), 1 << 40)
    assert page.place() == (str(tmp_path / "ü"), 1 << 40)
    page.count_read()
    assert page.reads == 1


def test_a_result_holds_the_output_as_it_was_given() -> None:
    end = Settlement("T", 1, 2, Status.FINISH, 3.0, error='a ,"signal": in a text')
    with_output = end._replace(output=b'{"b": 1.0, "a": [null]}').result()
    assert b'"output":{"b": 1.0, "a": [null]},"signal":null' in with_output
    assert with_output.replace(b'"output":{"b": 1.0, "a": [null]},', b"") == end.result()


@given(
    st.builds(
        Settlement,
        task_id=st.text(),
        attempt=st.integers(1),
        fence=st.integers(0),
        status=st.sampled_from(Status),
        finished_at=st.floats(allow_nan=False, allow_infinity=False),
        exit_code=st.none() | st.integers(),
        signal=st.none() | st.integers(),
        error_code=st.none() | st.text(),
        error=st.none() | st.text(),
        usage=st.builds(Usage, st.floats(0, 1e9), st.integers(0), st.integers(0), processes=st.tuples(st.text())),
        output=st.none() | st.sampled_from([b"null", b'{"a": 1}']),
    )
)
def test_a_result_is_json_with_its_members_in_order(end: Settlement) -> None:
    members = json.loads(end.result())
    assert list(members) == sorted(members)
    assert (members["error"], members["finished_at"], members["usage"]["processes"]) == (
        end.error,
        end.finished_at,
        list(end.usage.processes),
    )
    assert ("output" in members) == (end.output is not None)


def test_an_api_that_does_not_answer_well_is_told_with_what_was_asked() -> None:
    with StandIn() as api:
        client = context_of(Facts(api_endpoint=api.url, api_token="t")).api
        with pytest.raises(Unavailable, match=r"answered GET /api/nothing with 404") as refused:
            client.get("/api/nothing")
    gone = context_of(Facts(api_endpoint=f"http://127.0.0.1:{free_port()}")).api
    with pytest.raises(Unavailable, match=r"did not answer POST /api/jobs") as unanswered:
        gone.post("/api/jobs", {})
    assert refused.value.code == unanswered.value.code == "ERR-HND-016"


def test_a_trace_is_of_the_author_and_a_refusal_of_the_node_ends_at_his_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def late(given: dict[str, str]) -> str:
        raise ValueError(given["why"])

    def store(given: dict[str, str], context: HandlerContext) -> str:
        return str(context.storage)

    def files_of(target: object) -> tuple[list[str], str]:
        with pytest.raises((ValueError, NodeError)) as caught:
            make_duty(target).call({"why": "tired"}, context_of())
        backtrace.show_raised(caught.value.with_traceback(caught.tb.tb_next))  # without the frame of this test
        lines = capsys.readouterr().err.splitlines()
        return [line for line in lines if line.startswith("  File ")], lines[-1]

    places, last = files_of(late)
    assert (len(places), last) == (1, "ValueError: tired") and "in late" in places[0]
    places, last = files_of(store)
    assert len(places) == 1 and "in store" in places[0] and "There is no storage" in last
