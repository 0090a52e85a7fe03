"""The result of a job, handed to the Job Manager."""

from __future__ import annotations

import json
import os
from typing import Any

from job_item.errors import BadMessage
from job_item.sdk.courier import Courier
from job_item.sdk.node import Node, or_leave
from job_item.sdk.surroundings import project_key, result_url

_NOTHING = object()


def submit_result(result: Any = _NOTHING, /, *, status: str = "completed", **members: Any) -> Any:
    """Hand the result of this job to the Job Manager; gives the JSON of its answer, None where there is none.

    `result` becomes the member of that name; `members` stand beside `status`, for a script that wants its own.
    Tried again for some seconds while the Job Manager is away, so that it may come twice; then it is left with the
    node, which hands it in when he is back, and None is given.

        submit_result({"rows": 12})                       {"status": "completed", "result": {"rows": 12}}
        submit_result(status="failed", error="no input")  {"status": "failed", "error": "no input"}

    Raises `job_item.errors.NodeError`: ERR-REP-001 and -002 (JOB_MANAGER_RESULT_URL or JOB_ITEM_PROJECT_KEY is missing
    or no address), ERR-REP-003 (refused), as `Unavailable` ERR-REP-004 (nobody answers), as `BadMessage` ERR-REP-009
    (the result cannot be written as JSON).
    """
    url, key = result_url(os.environ), project_key(os.environ)
    document = {"status": status, **({} if result is _NOTHING else {"result": result}), **members}
    try:
        body = json.dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadMessage("ERR-REP-009", f"The result cannot be written as JSON: {error}.") from error
    courier = Courier()
    node = Node.of(os.environ, "result")
    return or_leave(
        courier, node, lambda: send_result(courier, url, key, body), lambda it: it.leave_result(courier, body)
    )


def send_result(courier: Courier, url: str, key: str, body: bytes) -> Any:
    """Hand a result in; gives the JSON of the answer, None where there is none. Raises as `submit_result`."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    answer = courier.post(url, lambda: body, headers, what="the result")
    try:
        return answer.document()
    except (ValueError, RecursionError):
        return None
