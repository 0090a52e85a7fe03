"""What a job sees in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from job_item.environ import base_environment, share_variables
from worker.environ import Owner, data_variables, job_variables, node_variables

BASE = "http://127.0.0.1:8080"
OWNER = Owner("http://manager:5280", "P", "secret", BASE, share_variables(BASE, {}))


def test_the_seven_variables_are_those_of_the_protocol() -> None:
    variables = {**node_variables(OWNER), **job_variables(OWNER, "T1", 2, 77)}
    assert variables["JOB_MANAGER_HOST"] == "http://manager:5280"
    assert variables["JOB_MANAGER_RESULT_URL"] == "http://manager:5280/api/worker/job_record/result/T1"
    assert variables["JOB_MANAGER_UPLOAD_FILE"] == "http://manager:5280/api/worker/job_record/file/T1"
    assert variables["JOB_ITEM_TASK_ID"] == "T1"
    assert variables["JOB_ITEM_PROJECT_ID"] == "P"
    assert variables["JOB_ITEM_PROJECT_KEY"] == "secret"
    assert variables["JOB_ITEM_MSG_NOTIF_HOST"] == "http://127.0.0.1:8080/msg/notif/T1"
    assert (variables["JOB_ITEM_ATTEMPT"], variables["JOB_ITEM_FENCE"]) == ("2", "77")


def test_nothing_of_the_nodes_own_environment_passes_but_the_base_and_what_is_asked_for() -> None:
    environ = {"PATH": "/bin", "LC_ALL": "C", "AWS_SECRET": "s", "MY_A": "1", "MY_B": "2", "JOB_ITEM_CONFIG_DATA": "{}"}
    base = base_environment(environ, {"MY_B": "from .env", "ONLY": "dotenv"}, ("MY_*",))
    assert base.pop("PATH").startswith("/bin:")
    assert base == {"LC_ALL": "C", "MY_A": "1", "MY_B": "2", "ONLY": "dotenv"}


def test_a_job_has_a_path_even_where_the_node_has_none() -> None:
    assert base_environment({}, {}, ())["PATH"]


def test_the_programs_of_the_node_are_found_by_its_jobs_but_hide_no_other() -> None:
    own = str(Path(sys.executable).parent)
    assert base_environment({"PATH": "/bin"}, {}, ())["PATH"] == f"/bin:{own}"
    assert base_environment({"PATH": f"{own}:/bin"}, {}, ())["PATH"] == f"{own}:/bin"
    assert base_environment({"PATH": ""}, {}, ())["PATH"] == own


def test_strings_arrive_as_they_are_and_all_else_as_json() -> None:
    variables = data_variables({"to": "a b", "n": 12345678901234567890, "deep": {"é": [1, None]}, "my-key": True})
    assert variables == {
        "JOB_ITEM_DATA_TO": "a b",
        "JOB_ITEM_DATA_N": "12345678901234567890",
        "JOB_ITEM_DATA_DEEP": '{"é": [1, null]}',
        "JOB_ITEM_DATA_MY_KEY": "true",
    }


def test_what_cannot_be_passed_is_left_out_and_named() -> None:
    data = {"ok": "1", "nul": "a\0b", "long": "x" * 40_000, "a-b": "1", "a_b": "2", "lone": "\ud800"}
    variables = data_variables(data)
    omitted = json.loads(variables.pop("JOB_ITEM_DATA_OMITTED"))
    assert variables == {"JOB_ITEM_DATA_OK": "1"}
    assert sorted(omitted) == ["a-b", "a_b", "lone", "long", "nul"]


def test_all_members_together_are_bounded() -> None:
    variables = data_variables({f"m{number}": "x" * 30_000 for number in range(20)})
    assert sum(len(value) for name, value in variables.items() if name != "JOB_ITEM_DATA_OMITTED") <= 256 * 1024
    assert len(json.loads(variables["JOB_ITEM_DATA_OMITTED"])) == 12


def test_a_name_that_is_too_long_is_left_out() -> None:
    data = {"a" * 140_000: "x", "b" * 241: "y", "c" * 242: "z"}
    variables = data_variables(data)
    assert json.loads(variables.pop("JOB_ITEM_DATA_OMITTED")) == ["c" * 242, "..."]
    assert variables == {"JOB_ITEM_DATA_" + "B" * 241: "y"}


def test_members_count_with_their_names_so_that_very_many_leave_room_for_the_command() -> None:
    variables = data_variables({f"m{number}": "1" for number in range(70_000)})
    assert sum(len(name) + len(value) + 10 for name, value in variables.items()) <= 300 * 1024
    assert len(variables) > 5_000
    program = "import sys; sys.exit(int(len([n for n in __import__('os').environ if n.startswith('JOB_')]) < 5000))"
    subprocess.run([sys.executable, "-I", "-c", program], env={**variables, "PATH": os.defpath}, check=True)


def test_a_list_has_no_members() -> None:
    assert data_variables(["x", 1]) == {}


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)))
def test_every_member_is_either_passed_or_named(data: dict[str, object]) -> None:
    variables = data_variables(data)
    omitted = json.loads(variables.pop("JOB_ITEM_DATA_OMITTED", "[]"))
    assert len(variables) + len(omitted) == len(data)
    assert all("\0" not in value and value.encode() is not None for value in variables.values())
