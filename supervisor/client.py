"""The client of the local API: finds the node that runs, asks it, and bears with it while its job child is replaced.

Every request may be sent again: the task id of a new job is chosen here, and asking twice for a cancel is asking once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.job import is_task_id
from job_item.state import NodeInfo, StateFolder

Params = Mapping[str, str | int | None]
Record = dict[str, Any]

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 40.0
"""Longer than a hung job child is let live, and than two heartbeats of an event stream."""


_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_LONGEST_PAGE = 1000
_LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


class Client:
    """Speaks with the node whose state folder is `folder`.

    `patience_s`: how long a request is tried again while the node lives but its connection is lost or refused.
    """

    def __init__(self, folder: Path, *, patience_s: float = 15.0) -> None:
        self.patience_s = patience_s
        self._folder = StateFolder(folder)
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between us and a node of this machine

    def node(self) -> NodeInfo:
        """The node that runs. Raises `Unavailable` (ERR-SUP-050) where there is none."""
        node = self._folder.read_node()
        if node is None:
            raise Unavailable("ERR-SUP-050", f"No node runs on the state folder {self._folder.path}.")
        if not _is_alive(node.pid):
            raise Unavailable(
                "ERR-SUP-050", f"The node of the state folder {self._folder.path} is gone (process {node.pid})."
            )
        return node

    def create(self, event: str, form: object, task_id: str) -> Record:
        """Have a job run; a task id that the node knows already is not run twice. Raises as `ask`."""
        body = {"event": event, "form_body": form, "task_id": task_id}
        return self._document("POST", "/job/create", body=body)

    def job(self, task_id: str) -> Record:
        """All about one job. Raises as `ask`."""
        return self._document("GET", job_path(task_id))

    def jobs(self, *, limit: int, status: str | None = None, event: str | None = None) -> list[Record]:
        """The newest jobs first, `limit` of them at most. Raises as `ask`."""
        jobs: list[Record] = []
        before: str | None = None
        while len(jobs) < limit:
            params = {
                "limit": min(limit - len(jobs), _LONGEST_PAGE),
                "status": status,
                "event": event,
                "before": before,
            }
            page = self._document("GET", "/jobs", params=params)
            jobs += page["jobs"]
            before = page["next"]
            if before is None:
                break
        return jobs

    def log(
        self, task_id: str, *, stream: str | None = None, attempt: int | None = None, tail: int | None = None
    ) -> Iterator[bytes]:
        """The output of a job as it is now, of the last attempt and of both streams where none is named.

        `tail`: only that many bytes from the end. Raises as `ask`; `Unavailable` also when the connection breaks.
        """
        params = {"stream": stream, "attempt": attempt, "tail": tail}
        return self._output(log_path(task_id), params, f"job {task_id}")

    def log_size(self, task_id: str, attempt: int | None = None) -> int:
        """How many bytes of output are kept. Raises as `ask`."""
        with self.ask("HEAD", log_path(task_id), params={"attempt": attempt}) as response:
            return int(response.headers["Content-Length"])

    def cancel(self, task_id: str) -> Record:
        """Ask for the end of a job; gives its record as it is now. Raises as `ask`."""
        return self._document("POST", job_path(task_id) + "/cancel")

    def dead(self, limit: int) -> list[Record]:
        """The dead letters. Raises as `ask`."""
        dead: list[Record] = self._document("GET", "/dead", params={"limit": limit})["dead"]
        return dead

    def dead_letter(self, task_id: str) -> Record:
        """One dead letter. Raises as `ask`."""
        return self._document("GET", dead_path(task_id))

    def order_dead(self, task_id: str, verb: str) -> Record:
        """Have a dead letter tried again, or dropped. Raises as `ask`."""
        return self._document("POST", f"{dead_path(task_id)}/{verb}")

    def execs(self) -> list[Record]:
        """The background commands. Raises as `ask`."""
        execs: list[Record] = self._document("GET", "/execs")["execs"]
        return execs

    def order_exec(self, key: str, verb: str) -> Record:
        """Have an exec started, stopped or restarted; gives its state. Raises as `ask`."""
        return self._document("POST", f"{exec_path(key)}/{verb}")

    def exec_log(self, key: str, *, lines: int | None = None) -> Iterator[bytes]:
        """What is kept of the output of an exec; `lines`: only so many from the end. Raises as `log`."""
        return self._output(f"{exec_path(key)}/log", {"lines": lines}, f"exec {key!r}")

    def reload(self, *, plan: bool, candidate: str | None = None) -> Record:
        """Have the settings read again; with `plan` only say what would change. Faults are in the report.

        Raises as `ask`.
        """
        body = {"plan": plan, "candidate": candidate}
        return self._document("POST", "/reload", body=body, accept=frozenset({422}))

    def health(self) -> Record:
        """Who the node is. Raises as `ask`."""
        return self._document("GET", "/healthz")

    def readiness(self) -> Record:
        """Whether the node takes jobs, and why not. Raises as `ask`."""
        said = self._document("GET", "/readyz", accept=frozenset({503}))
        return said if "ready" in said else {"ready": False, "reasons": [said["error"]]}

    def _output(self, path: str, params: Params, whose: str) -> Iterator[bytes]:
        with self.ask("GET", path, params=params) as response:
            try:
                yield from response.iter_content(1 << 16)
            except requests.RequestException as error:
                raise Unavailable("ERR-SUP-051", f"The output of {whose} broke off.") from error

    def _document(self, method: str, path: str, *, accept: frozenset[int] = frozenset(), **asked: Any) -> Record:
        with self.ask(method, path, accept=accept, stream=False, **asked) as response:
            try:
                document: Record = response.json()
            except requests.JSONDecodeError as error:
                raise NodeError("ERR-SUP-052", f"The node's answer to {method} {path} is no JSON.") from error
            return document

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        *,
        accept: frozenset[int] = frozenset(),
        stream: bool = True,
        **asked: Any,
    ) -> Iterator[requests.Response]:
        """Send a request (`params`, `body`, `headers`); gives the answer, its body unread with `stream`.

        Raises `Unavailable` (no node, no answer, or the node says so), `BadMessage` (the request is refused) or
        `NodeError` (anything else that the node says), with the node's own code; statuses of `accept` are no error.
        """
        with self._send_patiently(method, path, stream, asked) as response:
            if response.status_code >= 400 and response.status_code not in accept:
                raise refusal(response)
            yield response

    def _send_patiently(self, method: str, path: str, stream: bool, asked: Mapping[str, Any]) -> requests.Response:
        deadline = time.monotonic() + self.patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            node = self.node()
            try:
                return self._send(node, method, path, stream, **asked)
            except _LOST as error:
                if time.monotonic() + pause_s > deadline:
                    raise Unavailable("ERR-SUP-051", f"The node at {node.url} cannot be reached.") from error
            except requests.RequestException as error:
                raise Unavailable("ERR-SUP-051", f"The node at {node.url} does not answer.") from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _send(
        self,
        node: NodeInfo,
        method: str,
        path: str,
        stream: bool,
        *,
        params: Params | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        token = {"Authorization": f"Bearer {node.token}"} if node.token else {}
        return self._session.request(
            method,
            node.url.rstrip("/") + path,
            params=params,
            json=body,
            headers={**token, **(headers or {})},
            timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S),
            stream=stream,
            allow_redirects=False,
        )


def job_path(task_id: str) -> str:
    """The path of one job. Raises `BadMessage` (ERR-JOB-003) for what is no task id and would be another path."""
    if not is_task_id(task_id):
        raise BadMessage("ERR-JOB-003", f"{task_id!r} is no task id.")
    return f"/jobs/{task_id}"


def dead_path(task_id: str) -> str:
    """The path of a dead letter. Raises `BadMessage` (ERR-JOB-003)."""
    return job_path(task_id).replace("/jobs/", "/dead/", 1)


def log_path(task_id: str) -> str:
    """The path of a job's output."""
    return job_path(task_id) + "/log"


def exec_path(key: str) -> str:
    """The path of one exec. Raises `BadMessage` (ERR-EXE-011) for dots alone, which no URL can carry."""
    if key in ("", ".", ".."):
        raise BadMessage("ERR-EXE-011", f"An exec with the key {key!r} cannot be asked for.")
    return f"/execs/{quote(key, safe='')}"


def refusal(response: requests.Response) -> NodeError:
    """Make the error that the node's answer says: JSON with `error`, `code` and `remedy`."""
    try:
        said = response.json()
        message, code, remedy = str(said["error"]), str(said["code"]), str(said["remedy"])
    except (requests.RequestException, ValueError, TypeError, KeyError):
        return NodeError(
            "ERR-SUP-052", f"The node answers {response.status_code} {response.reason} without saying why."
        )
    if response.status_code == 503:
        return Unavailable(code, message, remedy)
    if response.status_code in (400, 413):
        return BadMessage(code, message, remedy)
    return NodeError(code, message, remedy)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
