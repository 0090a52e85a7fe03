"""The names of all subjects that a job or its node speaks on (protocol job-item.md, section 3.1), in one place."""

from __future__ import annotations

RESTART = "restart"
"""The event that is none: it asks every node of the project to read its settings again."""


def trigger(project: str, event: str) -> str:
    """Where jobs of an event are asked for."""
    return f"{project}.{event}"


def restart(project: str) -> str:
    """Where the nodes of a project are asked to read their settings again."""
    return f"{project}.{RESTART}"


def shutdown(identity: str) -> str:
    """Where one node is asked to stop; a dot, as the Go worker has it (protocol job-item.md, section 5.4)."""
    return f"{identity}.shutdown"


def who(task_id: str) -> str:
    """Where the host that runs a task is told."""
    return f"{task_id}_who"


def worker(task_id: str) -> str:
    """Where the end of a task is asked for."""
    return f"{task_id}_worker"


def listen(task_id: str) -> str:
    """Where it is asked whether somebody runs a task."""
    return f"{task_id}_listen"


def callback(task_id: str) -> str:
    """Where `listen` is answered."""
    return f"{task_id}_listen.callback"


def process(task_id: str) -> str:
    """Where the standard output of a task goes."""
    return f"{task_id}_process"


def failed(task_id: str) -> str:
    """Where the standard error of a task goes, or why it failed."""
    return f"{task_id}_failed"


def finish(task_id: str) -> str:
    """Where the status of a task goes, once."""
    return f"{task_id}_finish"


def note(task_id: str) -> str:
    """Where the notifications of a task's script go (with a dot, unlike all others)."""
    return f"{task_id}.notif_add"


def report(what: str) -> str:
    """Where this machine is told of: host, cpu, mem, net; disk, traffic and version are of our own."""
    return f"listen_{what}_information"
