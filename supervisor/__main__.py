"""`python -m supervisor`: the same as the command `job_item`."""

import sys

from supervisor.entry import main

if __name__ == "__main__":
    sys.exit(main())
