"""The vectors of the protocol (job-item.md, section 11) and its tables for all that is not template text.

| of the protocol | held by |
|---|---|
| 4.3, 11: templates | test_template_legacy.py, every vector, byte for byte |
| 4.1, 11: task file | here |
| 4.4, 5.2, 6.2: variables | here; in a real node: tests/integration/test_api_records.py |
| 4.5: status | here, and test_outcome.py for our own rules |
| 7: routes | tests/integration/test_api_jobs.py, test_api_notifications.py, test_api_share.py |

What section 11 has for parts that come later: the text on `T1.notif_add`, the normal run on NATS and the time-out
message (brokers); the reports of hardware and the envelope of an upload (Job Manager).
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execs.commands import exec_variables
from job_item import payload
from job_item.environ import share_variables
from job_item.job import Status, Usage
from worker.environ import Owner, job_variables, node_variables
from worker.outcome import Outcome, judge

BASE = "http://localhost:40001"


@pytest.mark.parametrize(
    ("data", "file"),
    [
        (
            '{"z":1,"a":"<é>","big":12345678901234567890}',
            '{"a":"\\u003cé\\u003e","big":12345678901234567000,"z":1}',
        ),
        ('{"a":"&\u2028\u2029","b":[true,null,""]}', '{"a":"\\u0026\\u2028\\u2029","b":[true,null,""]}'),
        ("[1.0,-0.0,1.5,100,1e5,0.1]", "[1,-0,1.5,100,100000,0.1]"),
        ("[1e20,1e21,1e-6,1e-7,1.5e-10,-2e300]", "[100000000000000000000,1e+21,0.000001,1e-7,1.5e-10,-2e+300]"),
        ("[9007199254740993]", "[9007199254740992]"),
        ("{}", "{}"),
    ],
)
def test_the_task_file_of_a_legacy_job_is_that_of_the_go_worker(data: str, file: str) -> None:
    assert payload.encode_legacy(payload.parse(data)) == file.encode()


def test_without_legacy_the_task_file_is_the_same_but_keeps_all_digits() -> None:
    data = payload.parse('{"z":1,"a":"<é>","big":12345678901234567890}')
    assert payload.encode(data) == '{"a":"\\u003cé\\u003e","big":12345678901234567890,"z":1}'.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(st.lists(JSON) | st.dictionaries(st.text(), JSON))
def test_a_legacy_task_file_holds_the_same_data_up_to_the_digits_of_a_float(data: payload.Data) -> None:
    written = json.loads(payload.encode_legacy(data), parse_int=float)
    assert written == json.loads(payload.encode(data), parse_int=float)


def test_an_integer_beyond_every_float_keeps_its_digits() -> None:
    assert payload.encode_legacy([10**400]) == b"[1" + b"0" * 400 + b"]"


def test_the_variables_of_a_job() -> None:
    owner = Owner("http://m:1", "P", "key", BASE, share_variables(BASE, {}))
    ours = ("JOB_ITEM_ATTEMPT", "JOB_ITEM_FENCE")
    variables = {**node_variables(owner), **job_variables(owner, "T1", 1, 1)}
    assert {name: value for name, value in variables.items() if name not in ours} == {
        "JOB_MANAGER_HOST": "http://m:1",
        "JOB_MANAGER_RESULT_URL": "http://m:1/api/worker/job_record/result/T1",
        "JOB_MANAGER_UPLOAD_FILE": "http://m:1/api/worker/job_record/file/T1",
        "JOB_ITEM_TASK_ID": "T1",
        "JOB_ITEM_PROJECT_ID": "P",
        "JOB_ITEM_PROJECT_KEY": "key",
        "JOB_ITEM_MSG_NOTIF_HOST": f"{BASE}/msg/notif/T1",
        "JOB_ITEM_BASE_URL": BASE,
        "JOB_ITEM_SHARE_DATA_HOST": f"{BASE}/msg/share/data",
        "JOB_ITEM_SHARE_DATA_ADD": f"{BASE}/msg/share/data/:task_id",
        "JOB_ITEM_SHARE_DATA_GET": f"{BASE}/msg/share/data/:task_id/:key",
    }


def test_in_local_mode_the_addresses_of_the_manager_are_bare_paths() -> None:
    variables = job_variables(Owner("", "P", "key", BASE, {}), "T1", 1, 1)
    assert variables["JOB_MANAGER_RESULT_URL"] == "/api/worker/job_record/result/T1"
    assert variables["JOB_MANAGER_UPLOAD_FILE"] == "/api/worker/job_record/file/T1"


def test_the_variables_of_an_exec() -> None:
    assert exec_variables("P", BASE) == {
        "JOB_ITEM_APP_ID": "P",
        "JOB_ITEM_BASE_URL": BASE,
        "JOB_ITEM_CREATE_URL": f"{BASE}/job/create",
        "JOB_ITEM_LISTEN_LOG": f"{BASE}/job/listen/job_record/:job_record_uuid/log",
        "JOB_ITEM_LISTEN_NOTIF": f"{BASE}/job/listen/job_record/:job_record_uuid/notif",
        "JOB_ITEM_LISTEN_ACTION": f"{BASE}/job/job_record/:job_record_uuid/action/:action",
    }


@pytest.mark.parametrize("base", [None, "", "/msg/share/data", "/behind/a/proxy"])
def test_the_base_of_share_data_changes_the_addresses_only(base: str | None) -> None:
    environ = {} if base is None else {"JOB_ITEM_SHARE_DATA_BASE": base}
    host = BASE + (base or "/msg/share/data")
    assert share_variables(BASE, environ) == {
        "JOB_ITEM_SHARE_DATA_HOST": host,
        "JOB_ITEM_SHARE_DATA_ADD": f"{host}/:task_id",
        "JOB_ITEM_SHARE_DATA_GET": f"{host}/:task_id/:key",
    }


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome("exit", 0), "finish"),
        (Outcome("exit", 3), "finish"),
        (Outcome("exit", None, 9), "finish"),
        (Outcome("exit", 0, usage=Usage(stderr_bytes=1)), "error"),
        (Outcome("exit", 3, usage=Usage(stderr_bytes=1)), "error"),
        (Outcome("timeout"), "timeout"),
        (Outcome("terminate"), "terminate"),
        # Section 9.1: later output does not change a status that was asked for (L13); a job that could not be started
        # is an error (L11).
        (Outcome("timeout", usage=Usage(stderr_bytes=1)), "timeout"),
        (Outcome("failed", error_code="ERR-RUN-002", error="x"), "error"),
    ],
)
def test_the_status_rule_stderr_is_that_of_the_go_worker(outcome: Outcome, status: str) -> None:
    assert judge(outcome, "stderr").status.value == status
    said = [word.value for word in Status if word.is_final and word is not Status.LEFT]  # of that nothing is said
    assert said == ["finish", "error", "timeout", "terminate"]
