"""Where the command `job_item` begins.

`multiprocess` imports the module of the console script again in every child it makes, so nothing may stand here that
costs anything or does anything on import.
"""

import os

PLAN_VARIABLE = "JOB_ITEM_PLAN"
"""Set where this command was executed again to be the parent (`supervisor.handover`)."""


def main() -> int:
    """Run the command line of this process, or the parent that it has become, and return its exit code."""
    if PLAN_VARIABLE in os.environ:
        from supervisor.handover import resume

        code = resume(os.environ)
        if code is not None:
            return code
    from supervisor.cli.app import main as run

    return run()
