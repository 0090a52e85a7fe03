"""The reload of settings in a running node: what asks for it, the process that reads, and what came of it.

A reading is asked for by an edit of the files, by SIGHUP, or by an order of the API. The reader (`supervisor.reader`)
says what is to be done; the parent enforces it. Nothing that goes wrong here changes what is in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from job_item.manager.offer import Offer
from job_item.orders import Answer, Refusal, ReloadOrder
from job_item.plainlog import PlainLog
from job_item.reload import ReloadReport, SettingsState
from job_item.sign import Sign
from supervisor.child import Child
from supervisor.complaints import Complaints
from supervisor.envoy import Envoy
from supervisor.errand import DIED, Errand, send
from supervisor.finding import Finding
from supervisor.forkserver import Forkserver
from supervisor.holdings import Holdings
from supervisor.plan import Plan
from supervisor.reading import Reading, Task
from supervisor.requests import Request, Requests
from supervisor.tables import Room
from supervisor.watch import Watch

READING_TIME_S = 10.0
"""After this time a reader is killed: a file on a dead network drive, or a bug."""
ASKING_TIME_S = 15.0
"""So much longer a reader may take that asks the Job Manager, which is given up by then."""
_STOPPING = Refusal("ERR-SUP-023", "The node is stopping, or has too many orders to reload already.")

Order = tuple[Child, int]


class Reload:
    """Keeps the settings of the node the newest good ones.

    Parameters: `enforce` brings a new plan into force, and is told what it changes.
    """

    def __init__(
        self, plan: Plan, births: Forkserver, holdings: Holdings, log: PlainLog, enforce: Callable[[Plan], None]
    ) -> None:
        self.plan = plan
        self._births = births
        self._holdings = holdings
        self._log = log
        self._enforce = enforce
        self._watch = Watch(log)
        self._requests: Requests[Order] = Requests()
        self._errand: Errand | None = None
        self._has_result = False
        self._applying: tuple[Request[Order], ReloadReport] | None = None
        self._complaints = Complaints(log, plan.doubts)
        self._envoy = Envoy(plan, log)
        self._state = SettingsState(plan.digest, time.time())
        self._is_open = True
        self._follow(plan.sources.files)

    @property
    def pids(self) -> frozenset[int]:
        """The process that reads just now."""
        return frozenset({self._errand.pid} if self._errand is not None else ())

    @property
    def offer(self) -> Offer | None:
        """The newer worker that the Job Manager would have, as it is known now."""
        return self._envoy.state.offer if self._envoy.state else None

    @property
    def is_busy(self) -> bool:
        """Whether settings are being read, or brought into force in the children."""
        request = self._requests.running
        is_read = request is not None and not (request.is_dry or request.is_routine or self._has_result)
        return self._applying is not None or is_read

    def dumped(self) -> Mapping[str, object]:
        """What a dump of the node's state says of it."""
        return {
            "digest": self.plan.digest,
            "is_busy": self.is_busy,
            "faults": len(self._complaints.faults),
            "is_watched": self.plan.sources.is_watched,
            "waiting": len(self._requests.waiting),
            "is_manager_away": self._envoy.is_away,
        }

    def state(self, pending: tuple[Room, ...]) -> SettingsState:
        """What the API shows; `pending` are the rooms that take the settings over later."""
        return replace(self._state, pending=tuple(room.value for room in pending), manager=self._envoy.state)

    def sources(self) -> Mapping[int, Callable[[], None]]:
        """What to wait for, and what to do then."""
        sources: dict[int, Callable[[], None]] = {}
        watched = self._watch.fileno()
        if watched is not None:
            sources[watched] = self._look
        if self._errand is not None:
            sources.update(self._errand.sources())
        return sources

    def next_moment_s(self) -> float | None:
        """When `turn` must come at the latest."""
        errand_s = self._errand.end_s if self._errand is not None else None
        moments = (self._watch.next_look_s(), errand_s, self._envoy.due_s if self._is_open else None)
        return min((moment for moment in moments if moment is not None), default=None)

    def turn(self) -> None:
        """Do what time asks for."""
        now_s = time.monotonic()
        looked_s = self._watch.next_look_s()
        if looked_s is not None and now_s >= looked_s:
            self._look()
        if self._errand is not None:
            self._errand.turn(now_s)
        if self._envoy.goes(now_s):
            self._request(Request(is_routine=True))
        self._begin()

    def check(self) -> None:
        """The parent is awake: look at the files, as some systems do not tell of their changes."""
        self._watch.check(time.monotonic())

    def ask(self) -> None:
        """Read the settings again, whatever the files look like."""
        self._request(Request())

    def order(self, asker: Child, order: ReloadOrder) -> None:
        """Do what the API asks for, and answer."""
        if not self._is_open or self._requests.is_full:
            asker.send(Answer(order.number, _STOPPING))
            return
        self._request(Request(((asker, order.number),), order.is_dry, order.candidate))

    def settle(self) -> None:
        """All children that can take the new settings over in place have done so."""
        if self._applying is None:
            return
        (request, report), self._applying = self._applying, None
        self._log.info("settings.applied", digest=report.digest, changes=[asdict(change) for change in report.changes])
        _answer(request, report)

    def close(self) -> None:
        """The node stops: nothing is read any more."""
        if not self._is_open:
            return
        self._is_open = False
        self._watch.stop()
        applying, self._applying = self._applying, None
        unanswered = (applying[0] if applying else None, self._requests.running, *self._requests.waiting)
        for request in unanswered:
            if request is not None:
                _answer(request, _STOPPING)
        self._requests = Requests()
        if self._errand is not None:
            self._errand.kill()

    def _request(self, request: Request[Order]) -> None:
        if self._is_open:
            self._requests = self._requests.ask(request)
            self._begin()

    def _look(self) -> None:
        if self._watch.look(time.monotonic()):
            self._request(Request(asks_manager=False))

    def _begin(self) -> None:
        """Send a reader, if one is wanted and none is out."""
        if self._errand is not None:
            return
        self._requests = self._requests.begin()
        request = self._requests.running
        if request is None:
            return
        listeners = self._holdings.listeners
        task = Task(
            self.plan,
            tuple(listeners),
            self._holdings.locks,
            request.is_dry,
            request.candidate,
            request.asks_manager,
            request.is_routine,
        )
        self._has_result = False
        try:
            reader = send(self._births, task, listeners.values())
        except (OSError, EOFError) as error:
            self._hear(replace(DIED, reason=f"no process can be started to read: {error}"))
            self._requests = self._requests.end()
            return
        asks = request.asks_manager and self.plan.manager is not None
        limit_s = READING_TIME_S + (ASKING_TIME_S if asks else 0.0)
        self._errand = Errand(reader, limit_s, self._hear, self._return)

    def _return(self) -> None:
        """Nothing is left of the reader: the next one may go."""
        self._errand = None
        self._requests = self._requests.end()
        self._begin()

    def _hear(self, word: Reading | Finding) -> None:
        self._finish(word if isinstance(word, Reading) else _failed(self.plan, word))

    def _finish(self, reading: Reading) -> None:
        """Take what came of the reading that runs; only the first word of it counts."""
        request = self._requests.running
        if self._has_result or request is None:
            return
        self._has_result = True
        if not request.is_dry:
            self._envoy.hear(reading, self.plan)
        if request.is_dry:
            _answer(request, reading.report)
        elif reading.faults:
            self._reject(request, reading)
        elif reading.plan is None:
            self._keep(request, reading)
        else:
            self._take(request, reading, reading.plan)

    def _reject(self, request: Request[Order], reading: Reading) -> None:
        self._complaints.reject(reading.faults, reading.files, is_asked=bool(request.orders))
        self._state = replace(self._state, faults=reading.report.faults)
        if reading.files:  # else the reader has not come so far
            self._follow(reading.files)
        _answer(request, reading.report)

    def _keep(self, request: Request[Order], reading: Reading) -> None:
        """The settings are what they were, or are so again."""
        self._clear()
        if not request.is_routine:
            self._log.info("settings.unchanged", digest=reading.report.digest)
        self._complaints.doubt(reading.warnings)
        self._follow(reading.files)
        _answer(request, reading.report)

    def _take(self, request: Request[Order], reading: Reading, plan: Plan) -> None:
        self.settle()  # those before are overtaken
        self._clear()
        self._log.become(plan.log, (*self.plan.log.secrets, *plan.log.secrets))
        self.plan = plan
        self._state = SettingsState(plan.digest, time.time())
        self._complaints.doubt(reading.warnings)
        self._follow(reading.files)
        self._applying = request, reading.report
        self._enforce(plan)

    def _clear(self) -> None:
        self._complaints.accept()
        self._state = replace(self._state, faults=())

    def _follow(self, files: Mapping[str, Sign]) -> None:
        """Watch the files as the settings in force want it. Those that were read with them must be there."""
        sources = self.plan.sources
        if sources.is_watched:
            self._watch.start()
        else:
            self._watch.stop()
        needed = frozenset(path for path, sign in sources.files.items() if sign is not None)
        self._watch.follow(files, needed | {str(sources.config_path)}, time.monotonic())


def _failed(plan: Plan, fault: Finding) -> Reading:
    """What a reading brings that came to nothing."""
    report = ReloadReport(plan.digest, faults=(f"{fault.reason} [{fault.code}]",))
    return Reading(report, {}, faults=(fault,))


def _answer(request: Request[Order], content: ReloadReport | Refusal) -> None:
    for asker, number in request.orders:
        asker.send(Answer(number, content))
