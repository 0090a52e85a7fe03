"""Triggers and control messages: what is read from them, and what is refused (protocol job-item.md, 3.2 and 9.2)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item import payload
from job_item.errors import BadMessage
from worker.sources.trigger import (
    LIMIT_BYTES,
    Refused,
    Trigger,
    read_control,
    read_trigger,
    write_control,
    write_trigger,
)

GOOD = [
    (b'{"task_id":"T1","data":{"b":1,"a":"x"}}', b'{"a":"x","b":1}'),
    (b'{"task_id":"T1","data":["x",1],"action":"execute"}', b'["x",1]'),
    (b'{"TASK_ID":"T1","Data":{}}', b"{}"),
    (b'{"task_id":"T1","data":null}', b"{}"),
    (b'{"task_id":"T1"}', b"{}"),
    (b'{"task_id":"T0","Task_Id":"T1","other":3}', b"{}"),
    (b'\xef\xbb\xbf {"task_id":"T1"}\n', b"{}"),
]


@pytest.mark.parametrize(("raw", "body"), GOOD)
def test_a_trigger_is_read_as_go_reads_it(raw: bytes, body: bytes) -> None:
    assert read_trigger(raw) == Trigger("T1", body)


BAD = [
    (b"", "ERR-SRC-001", None),
    (b"hello", "ERR-SRC-001", None),
    (b"\xff\xfe", "ERR-SRC-001", None),
    (b'["task_id"]', "ERR-SRC-001", None),
    (b'"T1"', "ERR-SRC-001", None),
    (b'{"task_id":"T1"', "ERR-SRC-001", None),
    (b'{"task_id":"T1","data":{"a":NaN}}', "ERR-SRC-001", None),
    (b'{"task_id":"T1","data":' + b"[" * 200 + b"]" * 200 + b"}", "ERR-SRC-001", None),
    (b'{"data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":7,"data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":null,"data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"../../etc/x","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"a b","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"*","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"a.>","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"a\\r\\nPUB","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"' + b"a" * 129 + b'","data":{}}', "ERR-JOB-003", None),
    (b'{"task_id":"T1","data":"text"}', "ERR-JOB-008", "T1"),
    (b'{"task_id":"T1","data":3}', "ERR-JOB-008", "T1"),
    (b'{"task_id":"T1","data":true}', "ERR-JOB-008", "T1"),
    (b'{"task_id":"T1","data":{}}' + b" " * LIMIT_BYTES, "ERR-SRC-001", None),
]


@pytest.mark.parametrize(("raw", "code", "task_id"), BAD)
def test_a_trigger_that_cannot_be_used_is_refused_and_says_whom_to_answer(
    raw: bytes, code: str, task_id: str | None
) -> None:
    with pytest.raises(Refused) as caught:
        read_trigger(raw)
    assert (caught.value.code, caught.value.task_id) == (code, task_id)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise_anything_but_a_refusal(raw: bytes) -> None:
    for read in (read_trigger, lambda body: read_control(body, "T1")):
        try:
            read(raw)
        except BadMessage as refusal:
            assert isinstance(refusal, Refused)


def test_what_is_written_is_read_back() -> None:
    body = payload.encode({"a": "<é>", "n": [1, 2]})
    raw = write_trigger("T1", body)
    assert read_trigger(raw) == Trigger("T1", body)
    assert list(json.loads(raw)) == ["data", "task_id"]
    assert read_control(write_control("T1", "timeout"), "T1") == "timeout"


CONTROLS = [
    (b'{"task_id":"T1","data":null,"action":"timeout"}', "timeout"),
    (b'{"Action":"terminate"}', "terminate"),
    (b'{"task_id":"","action":"terminate"}', "terminate"),
    (b'{"task_id":"T1","action":"execute"}', None),
    (b'{"task_id":"T1"}', None),
    (b'{"action":{"a":1}}', None),
    (b'{"action":["timeout"]}', None),
]


@pytest.mark.parametrize(("raw", "action"), CONTROLS)
def test_a_control_message_asks_for_one_of_two_things(raw: bytes, action: str | None) -> None:
    assert read_control(raw, "T1") == action


def test_a_control_message_may_not_name_another_task() -> None:
    with pytest.raises(Refused) as caught:
        read_control(b'{"task_id":"T2","action":"terminate"}', "T1")
    assert caught.value.code == "ERR-SRC-002"
