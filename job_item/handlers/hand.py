"""A hand: the process in which handlers run, one job at a time."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import socket
import sys
import termios
import time
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any, NoReturn

from pydantic import ValidationError

from job_item import process
from job_item.environ import job_variables
from job_item.errors import NodeError
from job_item.handlers import backtrace, parcel
from job_item.handlers.context import Errand, Facts, HandlerContext, Kit
from job_item.handlers.duty import Duty
from job_item.handlers.hold import CUT, Ends
from job_item.handlers.wish import NOTE, RESULT, Result, Wish
from job_item.keeper import tree

SWEEP_LIMIT_S = 1.0
OUTPUT_BYTES = 1 << 20
"""The largest output of a handler; more belongs into files."""
TEXT_LENGTH = 1000
"""What is kept of the text of an exception; its trace is in the output of the job."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def become(
    duties: Mapping[str, Duty], kit: Kit, spared: Set[int], command: Mapping[str, Any], ends: Ends, answer: int
) -> NoReturn:
    """Turn this process, which was forked just now, into a hand. `spared` are descriptors that modules have opened."""
    os.environ.clear()
    os.environ.update(command["env"])
    _keep_only({0, 1, 2, ends.line, ends.cut, answer, *spared})
    process.become_subreaper()
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = open(  # noqa: SIM115 - a descriptor, for as long as this process lives
            descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    hand = Hand(duties, kit, ends)
    signal.signal(signal.SIGTERM, hand.hear_of_end)
    os.close(answer)
    try:
        hand.serve()
    finally:
        _flush()
        os._exit(0)


class _Leave(Exception):  # noqa: N818 - no error
    """Raised out of the wait for a job: there will be none."""


class Hand:
    """Takes jobs from its line until there are no more, or it has had enough."""

    def __init__(self, duties: Mapping[str, Duty], kit: Kit, ends: Ends) -> None:
        self._duties = duties
        self._kit = kit
        self._line = socket.socket(fileno=ends.line)
        self._inlet = parcel.Inlet(self._line)
        self._cut = socket.socket(fileno=ends.cut)
        self._page = ends.page
        self._reads = ends.page.reads
        self._foreign: tuple[str, ...] = ()
        self._jobs = 0
        self._is_leaving = self._is_idle = False
        self._context: HandlerContext | None = None
        self._end_point = os.environ.get("JOB_MANAGER_HOST", "")
        self._base_url = os.environ.get("JOB_ITEM_BASE_URL", "")

    def serve(self) -> None:
        """Work until the line ends, or this process is to be replaced."""
        while not self._is_leaving:
            try:
                self._is_idle = True
                message = self._inlet.take()
                self._is_idle = False
            except _Leave:
                return
            if message is None:
                return
            wish = Wish(*message)
            result = self._perform(wish)
            parcel.send(self._line, result)

    def hear_of_end(self, *_: object) -> None:
        """The job that runs is to end; this process goes with it."""
        self._is_leaving = True
        if self._context is not None:
            self._context.cancel.set()
        elif self._is_idle:
            raise _Leave

    def _perform(self, wish: Wish) -> Result:
        self._page.put(wish.spool.encode(), wish.output_limit)
        self._set_variables(wish)
        facts = Facts(**wish.facts) if wish.facts else Facts()
        errand = Errand(wish.task_id, wish.type, wish.attempt, wish.timeout_s, facts)
        context = self._context = HandlerContext(errand, self._kit, lambda text: self._note(wish.task_id, text))
        begun_s, cpu_s = time.monotonic(), time.process_time()
        try:
            output, code, error, is_final = self._run(wish, context)
        finally:
            self._context = None
            context.close()
        self._end_children()
        written = self._written()
        self._jobs += 1
        run_s = time.monotonic() - begun_s
        if self._jobs >= wish.jobs_limit or ((run_s > 0.001 or self._jobs % 64 == 0) and _memory() > wish.memory_limit):
            self._is_leaving = True
        cpu_s = round(time.process_time() - cpu_s, 6)
        rss = _peak()
        return Result(RESULT, wish.task_id, output, code, error, is_final, run_s, cpu_s, rss, written, self._is_leaving)

    def _set_variables(self, wish: Wish) -> None:
        for name in self._foreign:
            os.environ.pop(name, None)
        self._foreign = tuple(wish.variables or ())
        own = job_variables(self._end_point, self._base_url, wish.task_id, wish.attempt, wish.fence)
        os.environ.update(own if wish.variables is None else {**own, **wish.variables})

    def _run(self, wish: Wish, context: HandlerContext) -> tuple[bytes | None, str | None, str | None, bool]:
        """Check, call, check. What a handler raises ends its job and nothing else, be it `SystemExit`."""
        duty = self._duties.get(wish.duty)
        if duty is None:
            return None, "ERR-HND-004", f"There is no handler for {wish.duty}.", True
        try:
            given = duty.input.validate_json(wish.body)
        except ValidationError as error:
            return None, "ERR-HND-010", f"The input does not fit {duty.place}: {_told(error)}.", True
        try:
            value = duty.call(given, context)
        except BaseException as error:
            backtrace.show_raised(error)
            raised = " ".join(f"{type(error).__name__}: {error}".split()) if str(error) else type(error).__name__
            if isinstance(error, NodeError):
                return None, error.code, error.message[:TEXT_LENGTH], False
            return None, "ERR-HND-011", f"The handler raised {raised[:TEXT_LENGTH]}.", False
        try:
            output = duty.output.dump_json(duty.output.validate_python(value), by_alias=True)
        except Exception as error:
            backtrace.show_unfit(error)
            reason = _told(error) if isinstance(error, ValidationError) else str(error)[:TEXT_LENGTH]
            return None, "ERR-HND-012", f"The output of {duty.place} is not what its hint says: {reason}.", False
        if len(output) > OUTPUT_BYTES:
            return None, "ERR-HND-013", f"The output of {duty.place} has {len(output)} bytes as JSON.", False
        return output, None, None, False

    def _note(self, task_id: str, text: str) -> None:
        parcel.send(self._line, (NOTE, task_id, text))

    def _end_children(self) -> None:
        """Nothing that a job has started outlives it; a hand that had to see to that is not used again."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        self._is_leaving = True
        tree.sweep(None, SWEEP_LIMIT_S)

    def _written(self) -> tuple[int, ...] | None:
        """How much the job wrote; None for nothing: then nobody had to be asked."""
        _flush()
        if not _is_waiting(1) and not _is_waiting(2) and self._page.reads == self._reads:
            return None
        self._cut.send(b"c")
        answer = self._cut.recv(CUT.size)
        self._reads = self._page.reads
        return CUT.unpack(answer) if len(answer) == CUT.size else None


def _is_waiting(descriptor: int) -> bool:
    """Whether a pipe holds bytes that were written into it."""
    count = bytearray(4)
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
    except OSError:
        return True  # the handler has put something else in its place: ask
    return any(count)


def _keep_only(wanted: Set[int]) -> None:
    """Close what belongs to the keeper: none of it is for the code of authors."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - numbers are wanted
        if int(name) not in wanted:
            with suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # an author may have closed or replaced it
            stream.flush()


def _memory() -> int:
    """What this process holds, in bytes; its peak where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - after many jobs, and to be fast
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return _peak()


def _peak() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _told(error: ValidationError) -> str:
    """What is wrong, in one line: the first places."""
    found = [
        ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"])))
        for each in error.errors(include_url=False)
    ]
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return ("; ".join(found[:3]) + more)[:TEXT_LENGTH]
