"""The data of a job: read strictly, written in one canonical form."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import BadMessage
from job_item.payload import DEPTH_LIMIT, adopt, decode, encode, parse

WRITTEN = [
    # protocol job-item.md, section 11, but for the big integer, which keeps its digits
    (
        '{"z":1,"a":"<é>","big":12345678901234567890}',
        '{"a":"\\u003cé\\u003e","big":12345678901234567890,"z":1}'.encode(),
    ),
    ('{"b": {"y": [1, 2.5, true, null], "x": ""}, "a": []}', b'{"a":[],"b":{"x":"","y":[1,2.5,true,null]}}'),
    ('["&", "\\u2028\\u2029", "\\u0000\\n"]', b'["\\u0026","\\u2028\\u2029","\\u0000\\n"]'),
    ('["\\ud83d\\ude00", "\u2028"]', '["😀","\\u2028"]'.encode()),
    ('{"é": 1, "z": 2, "Z": 3}', '{"Z":3,"z":2,"é":1}'.encode()),
    ('{"a": 1, "a": 2}', b'{"a":2}'),
    ('{"a": "\\ud800", "b": "x\\udc00y", "c": "\\\\ud800", "d": "\\ud800\\ud83d\\ude00"}',
     '{"a":"\ufffd","b":"x\ufffdy","c":"\\\\ud800","d":"\ufffd😀"}'.encode()),
    ("\ufeff".encode() + b'{"a": 1}', b'{"a":1}'),
    ('["\ud800"]', '["\ufffd"]'.encode()),
    ("null", b"{}"),
    ("{}", b"{}"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "written"), WRITTEN)
def test_data_is_written_in_its_canonical_form(raw: bytes | str, written: bytes) -> None:
    assert encode(parse(raw)) == written
    if isinstance(raw, str) and "\ud800" not in raw:
        assert encode(parse(raw.encode())) == written


REFUSED = [
    ("", "line 1, column 1"),
    ("{", "line 1"),
    ('{"a":1} x', "Extra data"),
    ("1", "neither an object nor an array"),
    ('"text"', "neither an object nor an array"),
    ("true", "neither an object nor an array"),
    ("[NaN]", "NaN"),
    ("[Infinity]", "Infinity"),
    ("[-Infinity]", "-Infinity"),
    ("[1e999]", "1e999 is too large"),
    ("[-1e999]", "too large"),
    ("[" + "9" * 5000 + "]", "too many digits"),
    (b'["\xff"]', "byte 2 is not UTF-8"),
    ('["\n"]', "control character"),
    ("[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1), "levels deep"),
    ('{"a":' * 100_000, "levels deep"),
]


@pytest.mark.parametrize(("raw", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_is_no_data_is_refused_with_the_reason(raw: bytes | str, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason) as caught:
        parse(raw)
    assert caught.value.code == "ERR-JOB-008"


def test_data_may_be_as_deep_as_the_limit_and_have_many_brackets_in_its_text() -> None:
    deep = "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT
    assert encode(parse(deep)) == deep.encode()
    assert parse(json.dumps(["[{" * DEPTH_LIMIT])) == ["[{" * DEPTH_LIMIT]


def test_any_document_can_be_read_and_its_data_taken_out() -> None:
    message = decode(b'{"task_id":"T1","data":null}')
    assert (message["task_id"], adopt(message["data"])) == ("T1", {})
    assert decode("3") == 3


@pytest.mark.parametrize("data", [[float("nan")], [float("inf")], [10**5000]])
def test_what_json_has_no_words_for_is_refused(data: list[Any]) -> None:
    with pytest.raises(BadMessage):
        encode(data)


def test_data_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(BadMessage):
        encode(endless)


def test_half_a_surrogate_pair_that_was_never_read_is_still_written_as_json() -> None:
    assert encode(["\ud800x"]) == b'["\\ud800x"]'


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES))
def test_what_is_written_is_read_again_and_written_alike(data: dict[str, Any] | list[Any]) -> None:
    written = encode(data)
    assert parse(written) == data
    assert encode(parse(written)) == written
    assert not set(written) & set(b"<>&\n")


@given(st.text() | st.binary())
def test_whatever_comes_in_is_read_or_refused(raw: str | bytes) -> None:
    with suppress(BadMessage):
        encode(parse(raw))
