"""A node with `delivery: durable` as a worker among other task queues, see `benchmarks.peers_brokers`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from benchmarks.brokerpeers import NUMBER, SLOTS
from benchmarks.processes import own_processes
from job_item.connections import RedisConnection
from tests.nodes import Node, tree_of
from worker.brokers.choose import choose_broker
from worker.journal.schema import open_reader

ATTEMPTS = 100
"""More than a job can lose by kills."""


class DurableNode:
    """A node with `delivery: durable`, and jobs of the two kinds that are asked for."""

    def __init__(
        self, folder: Path, connection: dict[str, Any], commands: Sequence[str], *, dies_whole: bool = True
    ) -> None:
        """Parameter `dies_whole`: whether a kill is for all its processes, or for the job child alone."""
        self._project = f"bench-{folder.name}"
        self._connection = connection
        self._dies_whole = dies_whole
        self._events = {command: f"kind{index}" for index, command in enumerate(commands)}
        self._node = Node(
            folder,
            {
                "credential": {"project_id": self._project},
                "broker_connection": connection,
                "jobs": [
                    {"event": event, "cmd": command.replace(NUMBER, "{{number}}"), "retries": {"attempts": ATTEMPTS}}
                    for command, event in self._events.items()
                ],
                "limits": {"concurrency": SLOTS},
            },
        )

    def send(self, numbers: Iterable[int], command: str) -> None:
        """See `Worker`: as another node would."""
        asyncio.run(self._put(numbers, f"{self._project}.{self._events[command]}"))

    async def _put(self, numbers: Iterable[int], subject: str) -> None:
        connection = await choose_broker(RedisConnection.model_validate(self._connection), self._project).connect()
        assert connection.queues is not None
        for number in numbers:
            task_id = f"{subject.rpartition('.')[2]}-{number}"
            body = b'{"task_id":"%s","data":{"number":%d}}' % (task_id.encode(), number)
            await connection.queues.put(subject, task_id, body)
        await connection.close()

    def start(self) -> None:
        """See `Worker`: after the death of its job child the node has started another by itself."""
        if self._node.process is None:
            self._node.start()

    def kill(self) -> None:
        """See `Worker`. They are in sessions of their own, so all are stopped before the first is killed."""
        if not self._dies_whole:
            os.kill(self._node.child_pid("worker"), signal.SIGKILL)
        elif (node := self._node.process) is not None:
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in tree_of(node.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
            node.wait()
            self._node.process = None

    def pids(self) -> Sequence[int]:
        """See `Worker`."""
        return [process.pid for process in own_processes(self._node)]

    def ended(self) -> int:
        """See `Worker`."""
        try:
            with closing(open_reader(self._node.state / "journal.sqlite")) as reader:
                ((count,),) = reader.execute("SELECT count(*) FROM tasks WHERE status = 'finish'").fetchall()
        except OSError:  # it is not there yet
            return 0
        return int(count)

    def close(self) -> None:
        """See `Worker`."""
        self._node.destroy()
