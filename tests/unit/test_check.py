"""What only the machine can tell of valid settings."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from job_item.check import check
from job_item.errors import Fault
from job_item.load import Loaded, load


def load_text(folder: Path, text: str) -> Loaded:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, {})


def check_text(folder: Path, text: str) -> tuple[Fault, ...]:
    return check(load_text(folder, text))


def test_good_settings_have_no_fault(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = """\
jobs:
  - {event: a, cmd: "echo 'hello {{name}}' | tr a-z A-Z"}
  - {event: b, cmd: [echo, "hello {{name}}"], working_dir: sub}
  - {event: c, cmd: echo hi, shell: sh}
  - {event: d, cmd: [/bin/sh, -c, "true"]}
execs:
  - {key: e, cmd: sleep 60, working_dir: sub}
"""
    assert check_text(tmp_path, text) == ()


@pytest.mark.parametrize(
    ("text", "line", "path", "code", "words"),
    [
        ("api: {host: 0.0.0.0}", 1, "api.host", "ERR-CFG-018", "0.0.0.0 is open to other machines"),
        ('api: {host: "::", token: ""}', 1, "api.host", "ERR-CFG-018", ":: is open"),
        ("work_dir: none", 1, "work_dir", "ERR-CFG-020", "none does not exist"),
        ("work_dir: config.yaml", 1, "work_dir", "ERR-CFG-020", "config.yaml is not a directory"),
        ("jobs:\n- event: restart\n  cmd: x", 2, "jobs[0].event", "ERR-CFG-025", "'restart'"),
        ("jobs:\n- event: a\n  cmd: x\n  working_dir: none", 4, "jobs[0].working_dir", "ERR-CFG-021", "does not exist"),
        ("jobs:\n- event: a\n  cmd: x\n  shell: no-such-shell", 4, "jobs[0].shell", "ERR-CFG-022", "'no-such-shell'"),
        ("execs:\n- key: a\n  cmd: x\n  working_dir: none", 4, "execs[0].working_dir", "ERR-CFG-021", "does not exist"),
    ],
)
def test_a_fault_has_its_place_and_code(tmp_path: Path, text: str, line: int, path: str, code: str, words: str) -> None:
    (fault,) = check_text(tmp_path, text)
    assert (fault.file, fault.line, fault.path, fault.code) == (str(tmp_path / "config.yaml"), line, path, code)
    assert words in fault.message
    assert not fault.warning


@pytest.mark.parametrize(
    "text",
    [
        "api: {host: 127.1.2.3}",
        "api: {host: '::1'}",
        "api: {host: localhost}",
        "api: {host: 0.0.0.0, token: long-enough}",
        "api: {host: 192.168.0.1, token: t}",
    ],
)
def test_an_api_on_loopback_or_with_a_token_is_fine(tmp_path: Path, text: str) -> None:
    assert check_text(tmp_path, text) == ()


@pytest.mark.parametrize(
    ("end_point", "is_exposed"),
    [
        ("http://manager", True),
        ("http://10.0.0.1:3000/api/worker/config", True),
        ("https://manager", False),
        ("http://127.0.0.1:3000", False),
        ("http://[::1]:3000", False),
        ("http://localhost", False),
    ],
)
def test_a_job_manager_in_the_clear_and_not_here_is_a_warning(tmp_path: Path, end_point: str, is_exposed: bool) -> None:
    faults = check_text(tmp_path, f"end_point: {end_point}")
    assert [(fault.code, fault.path, fault.line, fault.warning) for fault in faults] == [
        ("ERR-MGR-006", "end_point", 1, True)
    ] * is_exposed


def test_a_directory_of_jobs_that_cannot_be_written_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_text(tmp_path, "")
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # as root may write everywhere
    (fault,) = check(loaded)
    assert (fault.code, fault.message) == ("ERR-CFG-020", f"{tmp_path} is not writable")
    assert fault.remedy is not None
    assert "set work_dir" in fault.remedy


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-file", "/no/such/file", "./config.yaml"])
def test_a_program_that_is_not_there_is_a_warning(tmp_path: Path, program: str) -> None:
    (fault,) = check_text(tmp_path, f"jobs:\n- event: a\n  cmd: [{program}, x]\n")
    assert (fault.code, fault.line, fault.path, fault.warning) == ("ERR-CFG-023", 3, "jobs[0].cmd", True)
    assert f"'{program}'" in fault.message


def test_a_program_is_looked_for_where_the_job_would(tmp_path: Path) -> None:
    for folder in ("bin", "sub"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").touch(0o755)
    text = f"""\
jobs:
- {{event: a, cmd: [tool], env: {{PATH: {tmp_path}/bin}}}}
- {{event: b, cmd: [./tool], working_dir: sub}}
- {{event: c, cmd: [./sub/tool]}}
"""
    assert check_text(tmp_path, text) == ()


def test_faults_of_a_template_stand_at_their_line_of_the_file(tmp_path: Path) -> None:
    text = """\
jobs:
  - event: a
    cmd: |
      echo fine
      eval {{code}}
  - event: b
    cmd: "{{program}} x"
"""
    faults = check_text(tmp_path, text)
    assert [(fault.line, fault.path, fault.warning) for fault in faults] == [
        (5, "jobs[0].cmd", False),
        (7, "jobs[1].cmd", False),
    ]
    assert all(fault.remedy for fault in faults)


def test_all_faults_of_all_jobs_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
jobs:
  - event: restart
    cmd: "echo {{x"
    shell: no-such-shell
    working_dir: none
  - event: b
    cmd: [no-such-program]
api: {host: 0.0.0.0}
"""
    faults = check_text(tmp_path, text)
    assert [fault.line for fault in faults] == [2, 3, 4, 5, 7, 8]


def test_doubts_about_a_template_are_warnings(tmp_path: Path) -> None:
    faults = check_text(tmp_path, "jobs:\n- event: a\n  cmd: ssh host echo '{{x}}'\n")
    assert faults
    assert {(fault.line, fault.path, fault.warning) for fault in faults} == {(3, "jobs[0].cmd", True)}


def test_nothing_is_created_or_changed(tmp_path: Path) -> None:
    check_text(tmp_path, "state_dir: state\nwork_dir: work\njobs: [{event: a, cmd: x, working_dir: sub}]")
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yaml"]


def test_too_few_open_files_for_the_jobs_are_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_text(tmp_path, "\nlimits: {concurrency: 100}")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 364))
    assert check(loaded) == ()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 363))
    (fault,) = check(loaded)
    assert (fault.code, fault.line, fault.path, fault.warning) == ("ERR-CFG-026", 2, "limits.concurrency", True)
    assert fault.message == "a process may open 363 files here, and 100 jobs at once need about 364"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, resource.RLIM_INFINITY))
    assert check(loaded) == ()
