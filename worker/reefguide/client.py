"""The calls of a worker to the API, each with the rules for its refusals (protocol reefguide.md, sections 3 to 5)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

from job_item.errors import Unavailable
from job_item.log import get
from worker.desk import JobApiState
from worker.journal import Granted
from worker.reefguide.access import Access, Busy
from worker.reefguide.exchange import Exchange, Request
from worker.reefguide.wire import Answer, JobView, Listed, Unreadable, read_granted, read_job, read_jobs

ROLE_PAUSE_S = 60.0
"""How long nothing is asked for where the user has not the role: somebody has to give it to him."""
BUSY_S = 5.0


class Unanswered(Unavailable):
    """A claim came to no answer that says what became of it: it may have been granted."""


class Client:
    """Speaks for one user. All calls raise Unavailable: `Busy` where it is of no use to ask again soon.

    `passing` is told of each call before it is sent and after it was answered (fault points).
    """

    def __init__(
        self, url: str, exchange: Exchange, access: Access, passing: Callable[[str, tuple[str, ...]], None]
    ) -> None:
        self._exchange = exchange
        self._access = access
        self._passing = passing
        self.state = JobApiState(url, connected=False, since=time.time(), reason="it has not been asked yet")
        """How it goes."""

    async def poll(self, job_type: str) -> list[Listed]:
        """The jobs of a type that wait, ten at most."""
        answer = await self._call("poll", Request("GET", "/api/jobs/poll", query=(("jobType", job_type),)))
        try:
            jobs, unread = read_jobs(_content(answer))
        except Unreadable as error:
            raise _unexpected(answer, str(error)) from error
        if unread:
            get("worker").warning("poll.unread", code="ERR-RFG-013", job_event=job_type, entries=unread)
        return [job for job in jobs if job.type == job_type]

    async def assign(self, job_id: int, claimant: str, cluster: str) -> Granted | None:
        """Ask for a job; None when it is not to be had. Raises `Unanswered` where it may have been granted."""
        body = {"jobId": job_id, "ecsTaskArn": claimant, "ecsClusterArn": cluster}
        token = await self._access.token()
        request = Request("POST", "/api/jobs/assign", json.dumps(body).encode(), token)
        try:
            answer = await self._authorized("assign", request)
        except Busy:
            raise
        except Unavailable as error:
            raise Unanswered(error.code, error.message) from error
        if answer.status in (400, 404) and answer.message:
            return None
        if 400 <= answer.status < 500:
            raise _unexpected(answer)
        try:
            return read_granted(_content(answer))
        except (Unreadable, Unavailable) as error:
            raise Unanswered("ERR-RFG-004", f"a claim was answered with {answer}") from error

    async def job(self, job_id: int) -> JobView | None:
        """A job with its assignments; None where there is none of this id."""
        answer = await self._call("confirm", Request("GET", f"/api/jobs/{job_id}"))
        if answer.status == 404 and answer.message:
            return None
        try:
            return read_job(_content(answer))
        except Unreadable as error:
            raise _unexpected(answer, str(error)) from error

    async def post_result(self, assignment_id: int, body: bytes) -> Answer:
        """Post a result; what the answer means is for `verdicts.judge_delivery`."""
        return await self._call("result", Request("POST", f"/api/jobs/assignments/{assignment_id}/result", body))

    async def _call(self, name: str, request: Request) -> Answer:
        return await self._authorized(name, replace(request, bearer=await self._access.token()))

    async def _authorized(self, name: str, request: Request) -> Answer:
        """Send it; where the token does not count, once more with a refreshed one, then with that of a log-in.

        Raises Unavailable: `Busy` (ERR-RFG-006) where the user has not the role, for 429, and where no token helps.
        """
        answer = await self._send(name, request)
        for by_login in (False, True):
            if not answer.is_bearer_refused:
                break
            token = await self._access.renew(request.bearer, by_login=by_login)
            request = replace(request, bearer=token)
            answer = await self._send(name, request)
        if answer.is_bearer_refused:
            raise self._access.distrust()
        self._access.confirm()
        if answer.status == 401:
            raise Busy("ERR-RFG-006", f"the API answers {answer}", ROLE_PAUSE_S)
        if answer.status == 429:
            wait_s = BUSY_S if answer.retry_after_s is None else answer.retry_after_s
            raise Busy("ERR-RFG-004", f"the API is busy: {answer}", wait_s)
        if answer.status < 500:
            self._find()
        return answer

    async def _send(self, name: str, request: Request) -> Answer:
        self._passing("asked", (name,))
        try:
            answer = await self._exchange.ask(request)
        except Unavailable as error:
            self.lose(error)
            raise
        self._passing("answered", (name,))
        return answer

    def lose(self, error: Unavailable) -> None:
        """Say that the API is away, or does not let this node in; once for each reason."""
        known = self.state
        if known.connected or known.code != error.code:
            get("worker").warning("api.lost", code=error.code, reason=error.message)
            self.state = JobApiState(known.url, connected=False, since=time.time(), code=error.code)
        self.state = replace(self.state, reason=error.message)

    def _find(self) -> None:
        if not self.state.connected:
            if self.state.code is not None:
                get("worker").info("api.found")
            self.state = JobApiState(self.state.url, connected=True, since=time.time())


def _content(answer: Answer) -> object:
    """The JSON of a success. Raises Unavailable for anything else."""
    if answer.status != 200:
        raise _unexpected(answer)
    return answer.json()


def _unexpected(answer: Answer, why: str = "") -> Unavailable:
    return Unavailable("ERR-RFG-004", f"{why or 'the API answered'}: {answer}")
