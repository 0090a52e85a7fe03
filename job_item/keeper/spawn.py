"""Starting the command itself: a new session, descriptors 0, 1, 2 and nothing else, default signals, an empty mask."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any, NoReturn
else:
    import _signal as signal  # the C module itself, as in `tree`

_TO_DEFAULT = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGUSR1,
)
"""Python ignores the first two, a service manager may have the others ignored: the command gets the defaults back."""


class StartError(OSError):
    """The command could not be started; `step` says what failed: `cgroup`, `nice`, `limit` or `start`."""

    def __init__(self, number: int, path: str, step: str) -> None:
        super().__init__(number, os.strerror(number), path)
        self.step = step


def find_program(name: str, path: str) -> str:
    """Find the file that `name` means, as a shell would.

    Raises FileNotFoundError or PermissionError.
    """
    if "/" in name:
        if not os.access(name, os.F_OK):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if not os.access(name, os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return name
    for folder in path.split(":"):
        candidate = f"{folder or '.'}/{name}"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def start(command: dict[str, Any], stdin: int, stdout: int, stderr: int) -> int:
    """Start `command` with these descriptors and return its pid.

    Raises OSError or ValueError when it cannot be started.
    """
    argv, environ = command["argv"], command["env"]
    program = find_program(argv[0], environ.get("PATH", os.defpath))
    if command["rlimits"] or command["nice"] or command["cgroup"]:
        return _fork(program, command, (stdin, stdout, stderr))
    return os.posix_spawn(
        program,
        argv,
        environ,
        file_actions=(
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, stdout, 1),
            (os.POSIX_SPAWN_DUP2, stderr, 2),
        ),
        setsid=True,
        setsigmask=(),
        setsigdef=_TO_DEFAULT,
    )


def _fork(program: str, command: dict[str, Any], descriptors: tuple[int, int, int]) -> int:
    """Start through a fork, for what a spawn cannot set: limits, niceness, cgroup."""

    def become(_: int) -> None:
        confine(command, descriptors)
        os.execve(program, command["argv"], command["env"])  # noqa: S606 - running commands is what this is for

    return fork(become, program)


def fork(become: Callable[[int], None], program: str) -> int:
    """Fork, and have the child do `become`; returns its pid once that has succeeded. Raises OSError or `StartError`.

    The descriptor that `become` is given says that it has not: it is closed by what succeeds (an exec closes it).
    """
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        _become(become, program, writer)
    os.close(writer)
    with open(reader, "rb") as answer:
        failure = answer.read()
    if failure:
        os.waitpid(pid, 0)
        number, step, path = failure.split(b" ", 2)
        raise StartError(int(number), os.fsdecode(path), step.decode())
    return pid


def _become(become: Callable[[int], None], program: str, answer: int) -> NoReturn:
    try:
        become(answer)
    except (OSError, ValueError) as error:
        step, path = (error.step, error.filename) if isinstance(error, StartError) else ("start", program)
        failure = getattr(error, "errno", None) or errno.EINVAL
        os.write(answer, b"%d %s %s" % (failure, step.encode(), os.fsencode(path)))
    finally:
        os._exit(127)


def confine(command: dict[str, Any], descriptors: tuple[int, int, int]) -> None:
    """Let this process have what `command` may have: a session, limits, default signals, these as 0, 1 and 2.

    Raises StartError or OSError.
    """
    step, path = "start", ""
    try:
        os.setsid()
        if command["cgroup"]:
            step, path = "cgroup", command["cgroup"]
            with open(command["cgroup"] + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
        step, path = "nice", str(command["nice"])
        os.nice(command["nice"])
        for kind, value in command["rlimits"].items():
            step, path = "limit", str(value)
            _limit(kind, value)
    except (OSError, ValueError) as error:
        raise StartError(getattr(error, "errno", None) or errno.EINVAL, path, step) from None
    signal.set_wakeup_fd(-1)
    for number in _TO_DEFAULT:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)


def _limit(kind: int, value: int) -> None:
    import resource  # only such jobs pay for it

    _, hard = resource.getrlimit(kind)
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (ceiling, ceiling))
