"""What a process does to itself, seen from outside."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from job_item.process import _scan_for_children, children_of, pidfd
from tests.children import is_alive
from tests.conftest import ROOT, eventually


def bare(program: str, **environ: str) -> str:
    """What a program prints on a bare interpreter, as keepers have it."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"],
        env={**os.environ, **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_the_module_costs_a_bare_interpreter_no_further_import() -> None:
    program = "import os; before = set(sys.modules); import job_item.process; print(sorted(set(sys.modules) - before))"
    assert bare(program) == "['job_item', 'job_item.process']"


def test_all_inherited_descriptors_become_close_on_exec() -> None:
    program = (
        "import os; from job_item import process; "
        "pair = os.pipe(); [os.set_inheritable(fd, True) for fd in pair]; process.close_all_on_exec(); "
        "print([os.get_inheritable(fd) for fd in (0, 1, 2, *pair)])"
    )
    assert bare(program) == "[True, True, True, False, False]"


def test_a_session_of_its_own_is_taken_once_and_asked_for_twice_without_harm() -> None:
    program = (
        "import os; from job_item import process; process.own_session(); process.own_session(); "
        "print(os.getsid(0) == os.getpgrp() == os.getpid())"
    )
    assert bare(program) == "True"


ORPHAN = """
import os, time
from job_item import process
took = process.become_subreaper()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
orphans = process.children_of(os.getpid())
print(took, len(orphans))
for pid in orphans: os.kill(pid, 9)
"""


def test_a_subreaper_gets_its_orphans() -> None:
    assert bare(f"exec({ORPHAN!r})") == "True 1"


def test_the_portable_path_has_neither_subreaper_nor_pidfd() -> None:
    program = "import os; from job_item import process; print(process.become_subreaper(), process.pidfd(os.getpid()))"
    assert bare(program, JOB_ITEM_PORTABLE="1") == "False None"


@pytest.mark.parametrize("listing", [children_of, _scan_for_children])
def test_children_are_listed_zombies_too(listing: object) -> None:
    assert callable(listing)
    alive = subprocess.Popen(["sleep", "300"])
    dead = subprocess.Popen(["true"])
    try:
        eventually(lambda: {alive.pid, dead.pid} <= set(listing(os.getpid())))
        eventually(lambda: not is_alive(dead.pid))
        assert {alive.pid, dead.pid} <= set(listing(os.getpid()))
    finally:
        alive.kill()
        alive.wait()
        dead.wait()
    assert not {alive.pid, dead.pid} & set(listing(os.getpid()))


def test_a_process_that_is_not_there_has_no_children() -> None:
    assert children_of(2**22 + 1) == []


def test_a_pidfd_is_readable_once_the_process_has_ended() -> None:
    process = subprocess.Popen(["sleep", "300"])
    descriptor = pidfd(process.pid)
    assert descriptor is not None
    try:
        assert select.select([descriptor], [], [], 0)[0] == []
        process.kill()
        assert select.select([descriptor], [], [], 60)[0] == [descriptor]
    finally:
        os.close(descriptor)
        process.wait()
    with pytest.raises(ProcessLookupError):
        pidfd(process.pid)


def test_a_process_that_raised_its_limit_of_open_files_gives_its_child_the_old_one_back() -> None:
    program = (
        "import os, resource as r; from job_item import process; "
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (100, hard)); "
        "before = process.raise_open_files(); assert before == (100, hard); "
        "assert r.getrlimit(r.RLIMIT_NOFILE) == (hard, hard); "
        "pid = os.posix_spawn('/bin/sleep', ['sleep', '60'], {}); process.limit_open_files(pid, before); "
        "print(r.prlimit(pid, r.RLIMIT_NOFILE) == before); os.kill(pid, 9); os.waitpid(pid, 0); "
        "process.limit_open_files(pid, before)"
    )
    assert bare(program) == "True"


def test_a_closed_standard_descriptor_becomes_the_null_device() -> None:
    program = (
        "import os; from job_item import process; kept = os.dup(1); "
        "os.close(0); os.close(2); process.fill_standard_descriptors(); "
        "print([os.path.samestat(os.fstat(fd), os.stat(os.devnull)) and os.get_inheritable(fd) for fd in (0, 1, 2)], "
        "os.dup(1) - kept)"
    )
    assert bare(program) == "[True, False, True] 1"
