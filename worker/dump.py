"""What the job child holds, line by line, for the log: the answer to SIGUSR1. No data of jobs, no secrets."""

from __future__ import annotations

from job_item.errors import Unavailable
from job_item.keeper.pool import KeeperPool
from job_item.log import get
from worker.dispatch import Dispatcher
from worker.journal import Journal


def dump(journal: Journal, dispatcher: Dispatcher, pool: KeeperPool) -> None:
    """Write one line for the child and one for each job that has a slot."""
    logger = get("worker")
    keepers, idle = pool.sizes
    running = dispatcher.running()
    logger.info(
        "worker.dumped",
        slots_free=dispatcher.slots_free,
        slots_taken=len(running),
        keepers=keepers,
        keepers_idle=idle,
        jobs={str(status): number for status, number in journal.counts().items()},
    )
    for task_id, stop_how in running:
        try:
            record = journal.record(task_id)
        except Unavailable:  # the disk gives nothing just now
            record = None
        known = {"job_event": record.event, "attempt": record.attempt, "status": str(record.status)} if record else {}
        logger.info("job.dumped", task_id=task_id, stopping=stop_how, **known)
