"""What holds on the portable path: `JOB_ITEM_PORTABLE=1`, no pidfd, no subreaper, no forkserver, plain groups."""
