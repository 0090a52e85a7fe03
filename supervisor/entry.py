"""Where the command `job_item` begins.

`multiprocess` imports the module of the console script again in every child it makes, so nothing may stand here that
costs anything or does anything on import.
"""


def main() -> int:
    """Run the command line of this process and return its exit code."""
    from supervisor.cli.app import main as run

    return run()
