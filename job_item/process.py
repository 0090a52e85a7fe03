"""What a process of the node does to itself and asks of the kernel about others.

Keepers run this with a bare interpreter, so it imports next to nothing. Everything here is tolerant: where the
platform lacks a feature, or `JOB_ITEM_PORTABLE=1` asks to do without it, the answer says so and the caller takes the
weaker way.
"""

import os


def is_portable() -> bool:
    """Whether the node must do without pidfds, subreapers, /proc and the forkserver: the system has none, or
    `JOB_ITEM_PORTABLE=1` asks for it.
    """
    return os.environ.get("JOB_ITEM_PORTABLE") == "1" or not hasattr(os, "pidfd_open")


def fill_standard_descriptors() -> None:
    """Put the null device in the place of each of 0, 1, 2 that is closed: else the next file would be taken for it."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def close_all_on_exec() -> None:
    """Make every descriptor above 2 close-on-exec: those that come through the forkserver are inheritable."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            names = os.listdir(folder)  # noqa: PTH208 - pathlib is not for a bare keeper
        except OSError:
            continue
        for name in names:
            descriptor = int(name)
            if descriptor > 2:
                _close_on_exec(descriptor)
        return


def _close_on_exec(descriptor: int) -> None:
    try:  # noqa: SIM105 - contextlib is not for a bare keeper
        os.set_inheritable(descriptor, False)
    except OSError:
        pass  # the descriptor of the listing itself is closed by now


def raise_open_files() -> tuple[int, int]:
    """Let this process open as many files as it may at all; returns the soft and the hard limit that it had."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:  # noqa: SIM105
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    except (OSError, ValueError):
        pass  # some systems take no soft limit that is unlimited
    return before


def limit_open_files(pid: int, limits: tuple[int, int]) -> None:
    """Give a child back the limits that this process had before it raised its own (prlimit(2); Linux only)."""
    import resource

    try:  # noqa: SIM105
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    except (OSError, AttributeError):
        pass  # it is gone, or keeps ours


def own_session() -> None:
    """Leave the terminal's process group, so that its Ctrl-C reaches the parent alone."""
    try:  # noqa: SIM105
        os.setsid()
    except OSError:
        pass  # already the leader of a session or group of its own


def become_subreaper() -> bool:
    """Ask the kernel for the orphans among our descendants; True if we get them (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    return _prctl(36, 1)


def signal_when_orphaned(number: int) -> bool:
    """Ask the kernel for a signal when our parent dies (prctl(2), PR_SET_PDEATHSIG): True if we get it.

    A stopped process (SIGSTOP) does not see that its leash has ended. With SIGCONT it does, and ends itself; to one
    that runs this signal means nothing, and the death of a go-between alone does no harm. Only for children that the
    main thread of their parent has made: the kernel sends it at the end of the thread.
    """
    return _prctl(1, number)


def _prctl(option: int, value: int) -> bool:
    if is_portable():
        return False
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        return int(libc.prctl(option, value, 0, 0, 0)) == 0
    except (ImportError, OSError, AttributeError):
        return False


def children_of(pid: int) -> list[int]:
    """The pids of the direct children of `pid`, zombies included; empty where there is no /proc."""
    pids: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
                pids += map(int, file.read().split())
    except FileNotFoundError:
        # A thread ended under our eyes, or the kernel keeps no such list.
        return _scan_for_children(pid)
    except OSError:
        return []
    return pids


def _scan_for_children(parent: int) -> list[int]:
    try:
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit() and parent_of(int(name)) == parent]


def parent_of(pid: int) -> int:
    """The pid of the parent of `pid`, 0 when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            # The name of the program stands in brackets and may hold anything, brackets too.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def pidfd(pid: int) -> int | None:
    """A descriptor for the process that is readable once it has ended; None where the platform has none.

    Raises ProcessLookupError when there is no such process. Only a pid that cannot have been reused (a child that
    nobody has reaped) may be asked for.
    """
    if is_portable():
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None
