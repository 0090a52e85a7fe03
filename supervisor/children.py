"""The children that live: born, buried, and what their trees leave behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from job_item.job import new_task_id
from job_item.link import Swept
from supervisor.child import Child, spawn
from supervisor.forkserver import Forkserver
from supervisor.moves import Say
from supervisor.orphans import reap_orphans
from supervisor.plan import Plan
from supervisor.sweep import Sweep
from supervisor.tables import Room


class Children:
    """The living children by their rooms, and the sweep after those that died.

    Parameters: `strangers` are children that this process had before it was the node (a shell that became us by
    `exec`): not ours to end.
    """

    def __init__(self, births: Forkserver, strangers: Collection[int], say: Callable[[Say], None]) -> None:
        self.sweep = Sweep()
        self.strangers = set(strangers)
        self.pids: dict[Room, int] = {}
        """The pid of each room's child, the last one where it is dead."""
        self.born: Counter[str] = Counter()
        """How many there were of each room."""
        self._births = births
        self._say = say
        self._living: dict[Room, Child] = {}
        self._plans: dict[Room, Plan] = {}
        self._unswept: set[Room] = set()

    def get(self, room: Room) -> Child | None:
        """The living child of a room."""
        return self._living.get(room)

    def all(self) -> list[Child]:
        """Those that live."""
        return list(self._living.values())

    @property
    def plans(self) -> Mapping[Room, Plan]:
        """What each living child was born with."""
        return self._plans

    def spawn(self, room: Room, plan: Plan, lent: Sequence[object]) -> bool:
        """Start the child of a room; False when that failed, which has been said then."""
        try:
            child = spawn(self._births, room, plan.entries[room], plan.start, new_task_id(), lent)
        except (OSError, EOFError) as error:
            self.pids.pop(room, None)
            self._say(Say("child.stillborn", "ERR-SUP-003", room, {"reason": str(error)}))
            self.sweep.begin(time.monotonic())  # what was half born is a stray
            return False
        self._living[room], self._plans[room] = child, plan
        self.pids[room] = child.pid
        self.born[room.value] += 1
        self._say(Say("child.spawned", room=room))
        if self.sweep.is_active:
            self._unswept.add(room)
        else:
            child.send(Swept())
        return True

    def kill(self, room: Room) -> None:
        """Send SIGKILL to a room's child."""
        self._living[room].kill()
        self._say(Say("child.killed", room=room))

    def bury(self, child: Child) -> int | None:
        """The death is confirmed; returns the exit code. Its successor starts nothing before the old tree is swept."""
        exit_code = child.bury()
        del self._living[child.room], self._plans[child.room]
        self._unswept.discard(child.room)
        self.sweep.begin(time.monotonic())
        return exit_code

    def reap_orphans(self, others: Collection[int]) -> None:
        """Take away what fell to this process and has ended; `others` are waited for elsewhere."""
        self.strangers.difference_update(reap_orphans(self._own_pids(others)))

    def collect_strays(self, others: Collection[int]) -> None:
        """Go on with the sweep; when it is over, those who waited for its end hear of it."""
        left = self.sweep.collect(self._own_pids(others) | self.strangers, time.monotonic())
        if left is None:
            return
        self._say(Say("child.not_swept", "ERR-SUP-011", fields={"pids": list(left)}) if left else Say("child.swept"))
        for room in self._unswept:
            self._living[room].send(Swept())
        self._unswept.clear()

    def _own_pids(self, others: Collection[int]) -> set[int]:
        """Direct children that somebody here waits for."""
        own = {child.pid for child in self._living.values()} | set(others)
        return own if self._births.pid is None else own | {self._births.pid}
