"""The journal: every job that this node has accepted and what became of it. The embedded queue is the journal.

Theory of operation. One SQLite file in WAL mode. One write connection takes whatever waits, commits it as one group and
wakes the callers, which are coroutines of one event loop: in the loop's own thread with `sync: normal`, where a commit
waits for no disk, in a helper thread with `sync: full` (see `writer`). Reading is done in the loop's thread through a
second, read-only connection; every query uses an index and a LIMIT.

What is granted by an HTTP job queue is a row as well (`grants`), written before a job is asked for and kept until its
result is delivered. What is to be said over a broker when a job has ended is a row too, the outbox, and is written in
the same transaction as the end itself.

A task's row holds its running attempt; an attempt that has ended is a row of its own, keyed by task and number, so
that it cannot end twice. Its result is kept as the bytes that were accepted. A fence is a number that grows with every
claim and is never given again: its upper half counts the openings of the journal, its lower half the claims since.
"""

from worker.journal.grants import Grant, Granted
from worker.journal.journal import Journal
from worker.journal.values import (
    Claim,
    Ended,
    LastWords,
    Loaned,
    Pledge,
    Recovered,
    Saying,
    SayingKind,
    Settlement,
    Share,
    Waiting,
)

__all__ = [
    "Claim",
    "Ended",
    "Grant",
    "Granted",
    "Journal",
    "LastWords",
    "Loaned",
    "Pledge",
    "Recovered",
    "Saying",
    "SayingKind",
    "Settlement",
    "Share",
    "Waiting",
]
