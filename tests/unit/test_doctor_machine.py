"""`doctor` on the machine: processes, disks, clocks, watches."""

from __future__ import annotations

import errno
import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest

from job_item.hardware import Unknown
from job_item.hardware.disk import Usage
from job_item.inotify import Inotify
from supervisor.doctor import clock, processes, storage
from tests.doctors import CGROUP, GB, WIDE, case, only
from tests.machines import lay_out

# processes


def test_keepers_find_what_a_job_detaches(tmp_path: Path) -> None:
    portable = os.environ.get("JOB_ITEM_PORTABLE") == "1"
    only(processes.keepers(case(tmp_path)), *(("warn", "ERR-HST-101") if portable else ("ok",)))


def test_without_subreapers_keepers_are_warned_about(tmp_path: Path) -> None:
    only(processes.keepers(case(tmp_path, environ={"JOB_ITEM_PORTABLE": "1"})), "warn", "ERR-HST-101")


def test_a_probe_that_cannot_be_started_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    only(processes.keepers(case(tmp_path)), "fail", "ERR-HST-101")


def test_process_descriptors_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOB_ITEM_PORTABLE", raising=False)
    only(processes.process_descriptors(case(tmp_path)), "ok")
    monkeypatch.setenv("JOB_ITEM_PORTABLE", "1")
    only(processes.process_descriptors(case(tmp_path)), "warn", "ERR-HST-102")


@pytest.mark.parametrize(
    ("files", "verdict"),
    [
        (CGROUP, "ok"),
        ({}, "warn"),
        ({**CGROUP, "proc/self/cgroup": "0::/elsewhere\n"}, "warn"),
        ({"sys/fs/cgroup/cgroup.controllers": ""}, "warn"),
    ],
)
def test_cgroups_are_there_and_writable_or_not(tmp_path: Path, files: dict[str, str], verdict: str) -> None:
    known = replace(case(tmp_path), root=lay_out(tmp_path / "root", files))
    only(processes.cgroup(known), verdict, None if verdict == "ok" else "ERR-HST-103")


def test_a_cgroup_that_a_job_names_must_be_writable(tmp_path: Path) -> None:
    config = f"jobs: [{{event: a, cmd: 'true', resources: {{cgroup: {tmp_path}/none}}}}]"
    known = replace(case(tmp_path, config), root=lay_out(tmp_path / "root", CGROUP))
    first, second = processes.cgroup(known)
    assert (first.verdict, second.verdict, second.code) == ("ok", "fail", "ERR-RUN-015")


def test_open_files_may_be_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = case(tmp_path, "limits: {concurrency: 100}")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 364))
    only(processes.open_files(known), "ok")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 363))
    only(processes.open_files(known), "warn", "ERR-CFG-026")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, resource.RLIM_INFINITY))
    only(processes.open_files(known), "ok")


@pytest.mark.parametrize(
    ("files", "own", "verdict"),
    [
        ({"proc/sys/kernel/pid_max": "32768\n"}, -1, "ok"),
        ({"proc/sys/kernel/pid_max": "143\n"}, -1, "warn"),
        ({"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/pids.max": "20\n"}, -1, "warn"),
        ({"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/pids.max": "max\n"}, -1, "ok"),
        ({}, 50, "warn"),
    ],
)
def test_processes_may_be_too_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], own: int, verdict: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (own, own))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    known = replace(case(tmp_path, "limits: {concurrency: 10}"), root=lay_out(tmp_path / "root", files))
    only(processes.processes(known), verdict, None if verdict == "ok" else "ERR-HST-104")


# storage


def test_the_state_folder_is_made_at_the_first_start(tmp_path: Path) -> None:
    assert "will be made" in only(storage.state_folder(case(tmp_path)), "ok").said


@pytest.mark.parametrize(
    ("mode", "verdict", "code"),
    [
        (0o700, "ok", None),
        (0o770, "fail", "ERR-SUP-007"),
        (0o702, "fail", "ERR-SUP-007"),
        (0o755, "warn", "ERR-SUP-007"),
    ],
)
def test_the_state_folder_is_for_its_owner_only(tmp_path: Path, mode: int, verdict: str, code: str | None) -> None:
    known = case(tmp_path)
    known.state_dir.mkdir()
    known.state_dir.chmod(mode)
    only(storage.state_folder(known), verdict, code)


def test_a_state_folder_that_cannot_be_made_or_written_fails(tmp_path: Path) -> None:
    known = replace(case(tmp_path), state_dir=tmp_path / "file")
    known.state_dir.write_text("")
    only(storage.state_folder(known), "fail", "ERR-SUP-006")
    only(storage.state_folder(replace(known, state_dir=tmp_path / "file/state")), "fail", "ERR-SUP-006")


def mounted(folder: Path, kind: str) -> Path:
    return lay_out(
        folder / "root", {"proc/self/mountinfo": f"1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / {folder} rw - {kind} b rw\n"}
    )


@pytest.mark.parametrize(
    ("kind", "took_s", "verdict"),
    [
        ("ext4", 0.001, "ok"),
        ("ext4", 0.0, "warn"),
        ("xfs", 0.11, "warn"),
        ("tmpfs", 0.001, "warn"),
        ("nfs4", 0.0, "fail"),
    ],
)
def test_what_is_written_must_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, took_s: float, verdict: str
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def sync(_: int) -> None:
        now[0] += took_s

    known = replace(case(tmp_path), root=mounted(tmp_path, kind))
    only(storage.durability(known, sync), verdict, None if verdict == "ok" else "ERR-HST-105")


def test_a_disk_that_does_not_confirm_fails(tmp_path: Path) -> None:
    def sync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    known = replace(case(tmp_path), root=mounted(tmp_path, "ext4"))
    only(storage.durability(known, sync), "fail", "ERR-HST-105")


def test_the_real_disk_confirms_writes(tmp_path: Path) -> None:
    (line,) = storage.durability(case(tmp_path))
    assert line.verdict in ("ok", "warn")
    assert list(tmp_path.iterdir()) == [tmp_path / "config.yaml"], "nothing is left behind"


def test_task_files_need_a_file_system_that_can_mark_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = case(tmp_path)
    monkeypatch.setattr(storage, "has_unnamed", lambda _: True)
    monkeypatch.setattr(storage, "has_attributes", lambda _: True)
    only(storage.task_files(known), "ok")
    monkeypatch.setattr(storage, "has_attributes", lambda _: False)
    assert "extended attributes" in only(storage.task_files(known), "warn", "ERR-HST-106").said
    monkeypatch.setattr(storage, "has_unnamed", lambda _: False)
    assert "unnamed files and no extended" in only(storage.task_files(known), "warn", "ERR-HST-106").said
    only(storage.task_files(replace(known, work_dir=tmp_path / "none")), "fail", "ERR-CFG-020")


def test_what_a_file_system_can_do_is_tried_out(tmp_path: Path) -> None:
    for look in (storage.has_unnamed, storage.has_attributes):
        assert look(tmp_path) in (True, False)
        assert look(Path("/proc")) is False


@pytest.mark.parametrize(
    ("usage", "verdicts", "codes"),
    [
        (WIDE, ["ok", "ok"], []),
        (WIDE._replace(free_bytes=GB - 1), ["warn", "ok"], ["ERR-HST-107"]),
        (WIDE._replace(free_bytes=1 << 20), ["fail", "ok"], ["ERR-HST-107"]),
        (WIDE._replace(free_inodes=19_999), ["ok", "warn"], ["ERR-HST-108"]),
        (WIDE._replace(free_inodes=10), ["ok", "fail"], ["ERR-HST-108"]),
        (WIDE._replace(total_inodes=0, free_inodes=0), ["ok", "ok"], []),
    ],
)
def test_disks_may_be_full(tmp_path: Path, usage: Usage, verdicts: list[str], codes: list[str]) -> None:
    lines = list(storage.space(case(tmp_path), lambda _: usage))
    assert [line.verdict for line in lines] == verdicts, "state and work folder are one here, and looked at once"
    assert [line.code for line in lines if line.code] == codes


def test_a_disk_that_does_not_say_how_full_it_is(tmp_path: Path) -> None:
    def measure(folder: Path) -> Usage:
        raise Unknown("ERR-HST-001", "No.")

    only(storage.space(case(tmp_path), measure), "warn", "ERR-HST-001")


# clocks and watches


def test_the_clock_may_be_long_past_or_left_alone(tmp_path: Path) -> None:
    known = case(tmp_path)
    only(clock.system_clock(known, time.time, lambda: 0), "ok")
    only(clock.system_clock(known, time.time, lambda: 5), "warn", "ERR-HST-109")
    only(clock.system_clock(known, lambda: 0.0, lambda: 0), "fail", "ERR-HST-109")
    assert clock.kernel_clock_state() >= -1


def test_the_steady_clock_may_stand_or_run_away(tmp_path: Path) -> None:
    known = case(tmp_path)
    only(clock.steady_clock(known, lambda: 5.0), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: 2 * time.monotonic()), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: -time.monotonic()), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: 0.5 * time.monotonic()), "fail", "ERR-HST-110")
    only(clock.steady_clock(known, lambda: time.clock_gettime(time.CLOCK_MONOTONIC_RAW)), "ok")


def test_a_busy_machine_is_no_fault_of_its_clock(tmp_path: Path) -> None:
    def late() -> float:
        now = time.monotonic()
        time.sleep(0.05)  # somebody else has the processor before anything can be made of it
        return now

    only(clock.steady_clock(case(tmp_path), late), "ok")


def test_files_may_not_be_watchable(tmp_path: Path) -> None:
    known = replace(case(tmp_path), root=lay_out(tmp_path / "root"))

    def none_left() -> Inotify:
        raise OSError(errno.EMFILE, "fs.inotify.max_user_instances")

    only(clock.watches(known, none_left), "warn", "ERR-HST-111")
    only(clock.watches(known), "ok")
    lay_out(known.root, {"proc/sys/fs/inotify/max_user_watches": "8\n"})
    only(clock.watches(known), "warn", "ERR-HST-111")
