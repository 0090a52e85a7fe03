"""The trace context of a request (W3C Trace Context): what is passed on, what is ignored, what a job's own span is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.trace import Trace, job_span_id, keep, kept, of_job, trace_of, variables
from worker.api.jobs import trace_in

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{ID}-{SPAN}-01"


@pytest.mark.parametrize(
    ("parent", "state", "wanted"),
    [
        (PARENT, "", Trace(PARENT)),
        (f" {PARENT} ", " a=1,b=2 ", Trace(PARENT, "a=1,b=2")),
        (f"cc-{ID}-{SPAN}-01-what-comes-later", "", Trace(PARENT)),
        (f"cc-{ID}-{SPAN}-01", "", Trace(PARENT)),
        (PARENT, "x" * 513, Trace(PARENT)),
        (PARENT, "a=\x00", Trace(PARENT)),
        (PARENT, "a=\u00e9", Trace(PARENT)),
    ],
)
def test_a_valid_context_is_passed_on(parent: str, state: str, wanted: Trace) -> None:
    assert trace_of(parent, state) == wanted


@pytest.mark.parametrize(
    "parent",
    [
        "", "nonsense", PARENT.upper(), f"{PARENT}-more", f"{PARENT}\n-x",
        f"ff-{ID}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01", f"00-{ID[1:]}-{SPAN}-01", f"00-{ID}-{SPAN}-1", f"0g-{ID}-{SPAN}-01",
        f"cc-{ID}-{SPAN}-01.x",
    ],
)  # fmt: skip
def test_what_is_not_valid_is_as_good_as_not_there(parent: str) -> None:
    assert trace_of(parent) is None


@given(st.from_regex(r"[\x20-\x7e]{0,600}", fullmatch=True))
def test_what_is_kept_comes_back(state: str) -> None:
    trace = trace_of(PARENT, state)
    assert trace is not None
    assert kept(keep(trace)) == trace
    assert kept(keep(None)) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_makes_a_context_that_an_environment_cannot_carry(parent: str, state: str) -> None:
    for value in variables(trace_of(parent, state)).values():
        assert value.isprintable()


def test_a_job_is_told_of_its_trace() -> None:
    assert variables(None) == {}
    assert variables(Trace(PARENT)) == {"TRACEPARENT": PARENT}
    assert variables(Trace(PARENT, "a=1")) == {"TRACEPARENT": PARENT, "TRACESTATE": "a=1"}


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([(b"host", b"x")], None),
        ([(b"traceparent", PARENT.encode())], Trace(PARENT)),
        ([(b"traceparent", PARENT.encode())] * 2, None),
        (
            [(b"tracestate", b"b=2"), (b"traceparent", PARENT.encode()), (b"tracestate", b"a=1")],
            Trace(PARENT, "b=2,a=1"),
        ),
        ([(b"tracestate", b"b=2")], None),
        ([(b"traceparent", b"\xff")], None),
    ],
)
def test_the_context_stands_in_the_headers_of_a_request(
    headers: list[tuple[bytes, bytes]], wanted: Trace | None
) -> None:
    assert trace_in(headers) == wanted


def test_the_span_of_a_job_stands_below_its_caller_and_is_always_the_same() -> None:
    own = of_job("T1", Trace(f"00-{ID}-{SPAN}-00", "a=1"))
    assert own == Trace(f"00-{ID}-{job_span_id('T1')}-00", "a=1")
    assert (own.trace_id, own.span_id, own.flags) == (ID, job_span_id("T1"), "00")
    assert own == of_job("T1", Trace(f"00-{ID}-{SPAN}-00", "a=1"))
    alone = of_job("T1", None)
    assert trace_of(alone.parent) == alone
    assert alone.flags == "01"
    assert of_job("T2", None).trace_id != alone.trace_id
