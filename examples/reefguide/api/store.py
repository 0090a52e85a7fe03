"""The jobs, assignments and results of the stand-in, and the rules of its calls (protocol reefguide.md, section 5)."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from examples.reefguide.api.accounts import Accounts, User
from examples.reefguide.api.answers import Answer, domain, misfit
from examples.reefguide.api.schemas import EXPIRY_MIN, INPUTS, RESULTS, STATUSES, TYPES

USER, PASSWORD = "worker@example.org", "a pass-word"


@dataclass
class Result:
    """One row of JobResult."""

    id: int
    created_at: float
    payload: Any


@dataclass
class Assignment:
    """One row of JobAssignment."""

    id: int
    job_id: int
    created_at: float
    task: str
    cluster: str
    expires_at: float
    storage_uri: str
    completed_at: float | None = None
    result: Result | None = None

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "created_at": moment(self.created_at),
            "updated_at": moment(self.completed_at or self.created_at),
            "job_id": self.job_id,
            "ecs_task_arn": self.task,
            "ecs_cluster_arn": self.cluster,
            "expires_at": moment(self.expires_at),
            "storage_scheme": "S3",
            "storage_uri": self.storage_uri,
            "heartbeat_at": None,
            "completed_at": None if self.completed_at is None else moment(self.completed_at),
        }

    def detailed(self) -> dict[str, Any]:
        """With its result."""
        if self.result is None:
            return {**self.shown(), "result": None}
        result = {
            "id": self.result.id,
            "created_at": moment(self.result.created_at),
            "job_id": self.job_id,
            "assignment_id": self.id,
            "result_payload": self.result.payload,
            "storage_scheme": "S3",
            "storage_uri": self.storage_uri,
            "metadata": None,
            "cache_valid": True,
        }
        return {**self.shown(), "result": result}


@dataclass
class Job:
    """One row of Job. `history` is every status that it has had."""

    id: int
    type: str
    payload: Any
    user_id: int
    created_at: float
    status: str = "PENDING"
    assignments: list[Assignment] = field(default_factory=list)
    history: list[str] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """Of type and payload."""
        return hashlib.sha256(json.dumps([self.type, self.payload], sort_keys=True).encode()).hexdigest()

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "created_at": moment(self.created_at),
            "updated_at": moment(self.created_at),
            "type": self.type,
            "status": self.status,
            "hash": self.hash,
            "user_id": self.user_id,
            "input_payload": self.payload,
        }

    def turn(self, status: str) -> None:
        """Give it a status."""
        self.status = status
        self.history.append(status)

    def results(self) -> list[Result]:
        """The results that it has."""
        return [assignment.result for assignment in self.assignments if assignment.result is not None]


class Store:
    """What the API knows. `claim_window_s` is the time between its look at a job and its claim, which nothing guards;
    `on_look` is called in between too, `on_claim` at the claim itself, and both may raise; `expiry_s` takes the place
    of the time that an assignment has.
    """

    def __init__(self, accounts: Accounts | None = None) -> None:
        self.accounts = accounts or Accounts()
        self.accounts.add(USER, PASSWORD, "ANALYST")
        self.jobs: dict[int, Job] = {}
        self.claim_window_s = 0.005
        self.expiry_s: float | None = None
        self.on_look: Callable[[Job], None] = lambda _: None
        self.on_claim: Callable[[Job], None] = lambda _: None
        self.bucket = "reef"
        self.list_files: Callable[[str], Mapping[str, str]] = lambda _: {}
        """What lies below a storage URI: each relative path with where it is fetched."""
        self._assignments: dict[int, Assignment] = {}
        self._results = 0
        self._lock = threading.RLock()

    def create(self, type_: str, payload: Any, user_id: int = 1) -> Job:
        """Make a job, whatever there is of its like already."""
        with self._lock:
            job = Job(len(self.jobs) + 1, type_, payload, user_id, time.time())
            job.history.append(job.status)
            self.jobs[job.id] = job
            return job

    def ask(self, body: Any, user: User) -> Answer:
        """`POST /jobs`: a job of the same type and payload that has not failed is given again."""
        type_, payload = _members(body, "type", "inputPayload")
        if type_ not in TYPES:
            raise misfit("Body", ("invalid_enum_value", ("type",), "Invalid enum value"))
        if not INPUTS[type_].takes(payload):
            raise domain(400, f"Invalid payload for job type {type_}")
        with self._lock:
            wanted = Job(0, type_, payload, user.id, 0.0).hash
            alike = (job for job in self.jobs.values() if job.hash == wanted)
            known = next((job for job in alike if job.status in ("SUCCEEDED", "IN_PROGRESS", "PENDING")), None)
            job = known or self.create(type_, payload, user.id)
        return Answer(200, {"jobId": job.id, "cached": known is not None, "requestId": job.id})

    def poll(self, types: list[str]) -> Answer:
        """`GET /jobs/poll`: at most ten, oldest first."""
        if len(types) > 1 or (types and types[0] not in TYPES):
            raise misfit("Query", ("invalid_enum_value", ("jobType",), "Invalid enum value"))
        now = time.time()
        with self._lock:
            found = [
                job.shown()
                for job in self.jobs.values()
                if job.status == "PENDING"
                and (not types or job.type == types[0])
                and not any(one.completed_at is None or one.expires_at > now for one in job.assignments)
            ]
        return Answer(200, {"jobs": found[:10]})

    def assign(self, body: Any) -> Answer:
        """`POST /jobs/assign`: looks, and then claims; who looks in between claims too."""
        self.check_claim(body)
        job = self.jobs.get(body["jobId"])
        if job is None:
            raise domain(404, "Job not found")
        if job.status != "PENDING":
            raise domain(400, "Job is not available for assignment")
        self.on_look(job)
        if self.claim_window_s:
            time.sleep(self.claim_window_s)
        with self._lock:
            self.on_claim(job)
            now = time.time()
            life_s = EXPIRY_MIN.get(job.type, 60) * 60 if self.expiry_s is None else self.expiry_s
            uri = f"s3://{self.bucket}/results/{job.type.lower()}/{job.id}/{int(now * 1000)}"
            assignment = Assignment(
                len(self._assignments) + 1, job.id, now, body["ecsTaskArn"], body["ecsClusterArn"], now + life_s, uri
            )
            self._assignments[assignment.id] = assignment
            job.assignments.append(assignment)
            job.turn("IN_PROGRESS")
            return Answer(200, {"assignment": assignment.shown()})

    @staticmethod
    def check_claim(body: Any) -> None:
        """All three members, of their kinds."""
        job_id, task, cluster = _members(body, "jobId", "ecsTaskArn", "ecsClusterArn")
        if isinstance(job_id, bool) or not isinstance(job_id, (int, float)):
            raise misfit("Body", ("invalid_type", ("jobId",), "Expected number"))
        for name, value in (("ecsTaskArn", task), ("ecsClusterArn", cluster)):
            if not isinstance(value, str):
                raise misfit("Body", ("invalid_type", (name,), "Expected string"))

    @staticmethod
    def check_result(body: Any) -> None:
        """The status is one of the six."""
        if not isinstance(body, dict) or body.get("status") not in STATUSES:
            raise misfit("Body", ("invalid_enum_value", ("status",), "Invalid enum value"))

    def conclude(self, assignment_id: int, body: Any) -> Answer:
        """`POST /jobs/assignments/{id}/result`: nobody asks who posts, when, and what the job has come to meanwhile."""
        self.check_result(body)
        with self._lock:
            assignment = self._assignments.get(assignment_id)
            if assignment is None:
                raise domain(404, "Assignment not found")
            if assignment.completed_at is not None:
                raise domain(400, "Assignment already completed!")
            job, payload = self.jobs[assignment.job_id], body.get("resultPayload")
            if payload and not RESULTS[job.type].takes(payload):
                raise domain(400, f"Invalid result payload for job type {job.type}")
            self._results += 1
            assignment.completed_at = time.time()
            assignment.result = Result(self._results, assignment.completed_at, payload)
            job.turn(body["status"])
        return Answer(200)

    def detail(self, job_id: int) -> Answer:
        """`GET /jobs/{id}`, its assignments in no certain order."""
        with self._lock:
            job = self._job(job_id)
            shown = [assignment.detailed() for assignment in reversed(job.assignments)]
            return Answer(200, {"job": {**job.shown(), "assignments": shown}})

    def cancel(self, job_id: int) -> Answer:
        """`POST /jobs/{id}/cancel`: only while it waits."""
        with self._lock:
            job = self._job(job_id)
            if job.status != "PENDING":
                raise domain(400, "Cannot cancel jobs in a non PENDING state")
            job.turn("CANCELLED")
            return Answer(200, {"job": job.shown()})

    def time_out(self, older_than_s: float = 0.0) -> list[int]:
        """What the hourly clean-up does: by the age of the job, whatever runs."""
        with self._lock:
            late = [
                job
                for job in self.jobs.values()
                if job.status in ("PENDING", "IN_PROGRESS") and job.created_at <= time.time() - older_than_s
            ]
            for job in late:
                job.turn("TIMED_OUT")
            return [job.id for job in late]

    def forget(self, assignment_id: int) -> None:
        """Know an assignment no more."""
        with self._lock:
            del self._assignments[assignment_id]

    def statuses(self) -> dict[str, int]:
        """How many jobs have each status."""
        with self._lock:
            found = [job.status for job in self.jobs.values()]
        return {status: found.count(status) for status in dict.fromkeys(found)}

    def _job(self, job_id: int) -> Job:
        if job_id not in self.jobs:
            raise domain(404, "Job not found")
        return self.jobs[job_id]


def _members(body: Any, *names: str) -> list[Any]:
    if not isinstance(body, dict):
        raise misfit("Body", ("invalid_type", (), "Expected object"))
    return [body.get(name) for name in names]


def moment(at: float) -> str:
    """ISO 8601 UTC with milliseconds and `Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
