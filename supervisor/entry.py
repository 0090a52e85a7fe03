"""Where the command `job_item` begins.

`multiprocess` imports the module of the console script again in every child it makes, so nothing may stand here that
costs anything or does anything on import.
"""

import os
import sys

PLAN_VARIABLE = "JOB_ITEM_PLAN"
"""Set where this command was executed again to be the parent (`supervisor.handover`)."""


def main() -> int:
    """Run the command line of this process, or the parent that it has become, and return its exit code."""
    if not is_supported(os.name):
        os.write(2, b"ERR-SUP-015: job_item does not run on this system. Use Linux or macOS; on Windows use WSL 2.\n")
        return 69
    _open_what_is_closed()
    if os.getpid() == 1:
        from supervisor.init import split

        code = split()
        if code is not None:
            return code
    if PLAN_VARIABLE in os.environ:
        from supervisor.handover import resume

        code = resume(os.environ)
        if code is not None:
            return code
    if sys.argv[1:] == ["save"]:  # it stands in pipes, many times in a script: a fifth of the time without typer
        from supervisor.saving import save

        return save()
    from supervisor.helps import kept_help

    if (text := kept_help(sys.argv[1:], os.environ)) is not None:
        try:
            os.write(1, text.encode())
        except BrokenPipeError:
            return 1  # who reads it has seen enough
        return 0
    from supervisor.cli.app import main as run

    return run()


def is_supported(system: str) -> bool:
    """Whether a node can run on `system`, a value of `os.name`."""
    return system == "posix"


def _open_what_is_closed() -> None:
    """Started as in `job_item 2>&-`, the node would take its own lock for the file that it writes its log to."""
    from job_item.process import fill_standard_descriptors

    fill_standard_descriptors()
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - for the rest of the process
