"""Becoming the parent, or a guard: the process that has read the settings replaces itself by one that never did.

What reads and checks settings takes 20 MB, which the parent would keep for as long as the node runs. So the same
command is executed again in the same process (pid, descriptors and locks stay) and finds its plan in a nameless file in
memory: no secret is in the arguments, in the environment or on a disk.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping, MutableMapping

from job_item.process import is_portable
from supervisor.entry import PLAN_VARIABLE
from supervisor.plan import GuardPlan, Plan


def become_parent(plan: Plan, environ: Mapping[str, str]) -> None:
    """Execute this command again with `plan`. Returns only where the platform cannot: the parent must be run here."""
    for inherited in (plan.lock, plan.listener):
        os.set_inheritable(inherited, True)
    _begin_with(plan, environ)
    for inherited in (plan.lock, plan.listener):
        os.set_inheritable(inherited, False)


def become_guard(plan: GuardPlan, environ: Mapping[str, str]) -> None:
    """Execute this command again to guard a version. Returns only where the platform cannot."""
    _begin_with(plan, environ)


def _begin_with(plan: Plan | GuardPlan, environ: Mapping[str, str]) -> None:
    if is_portable() or not hasattr(os, "memfd_create") or not sys.executable:
        return
    descriptor = os.memfd_create("plan", 0)
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        pickle.dump(plan, file)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # With its pid: a process that inherits the variable from somewhere does not take it for its own.
    told = {**environ, PLAN_VARIABLE: f"{os.getpid()}:{descriptor}"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], told)  # noqa: S606


def resume(environ: MutableMapping[str, str]) -> int | None:
    """Be the parent or guard that this process has become; returns its exit code, or None in any other process."""
    pid, _, descriptor = environ.pop(PLAN_VARIABLE).partition(":")
    if pid != str(os.getpid()):
        return None
    try:
        plan = _take(int(descriptor))
        if isinstance(plan, Plan):
            from supervisor import parent

            return parent.run(plan, environ)
        from supervisor import guard

        return guard.run(plan, environ)
    except Exception as error:
        from supervisor.cli.failure import tell

        return tell(error)


def _take(descriptor: int) -> Plan | GuardPlan:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        plan: Plan | GuardPlan = pickle.load(file)  # noqa: S301 - written by this very process
    if isinstance(plan, Plan):
        for inherited in (plan.lock, plan.listener):
            os.set_inheritable(inherited, False)
    return plan
