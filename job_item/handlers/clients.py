"""The two clients that a handler may ask its context for, made when it does: the storage, and the API of its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from job_item.errors import NodeError, Unavailable

if TYPE_CHECKING:
    from job_item.handlers.context import Facts
    from job_item.storage import Storage

ANSWER_S = 30.0


def storage_of(facts: Facts) -> Storage:
    """Open the storage of a job. Raises NodeError (ERR-HND-015, and those of `open_storage`)."""
    if facts.storage_uri is None:
        raise NodeError("ERR-HND-015", "There is no storage for this job: its source names no storage_uri.")
    from job_item.storage import open_storage
    from job_item.storage.limited import LimitedStorage

    storage = open_storage(facts.storage_uri, region=facts.aws_region, endpoint=facts.s3_endpoint)
    return storage if facts.files_max is None else LimitedStorage(storage, facts.files_max)


def api_of(facts: Facts) -> ApiClient:
    """Make the client of the API that a job came from. Raises NodeError (ERR-HND-015)."""
    if facts.api_endpoint is None:
        raise NodeError("ERR-HND-015", "This job did not come from a job API.")
    return ApiClient(facts.api_endpoint, facts.api_token, facts.api_tokens)


class ApiClient:
    """Calls of the API that a job came from, as the user of the node, however long the job takes."""

    def __init__(self, endpoint: str, token: str | None, tokens: str | None) -> None:
        """Parameters: `token`, the one of the job's start; `tokens`, the file with those that follow."""
        from job_item.reefcalls import Bearer, Calls
        from job_item.reeftokens import Store

        self._calls = Calls(endpoint, ANSWER_S)
        self._bearer = Bearer(self._calls, Store(Path(tokens), None) if tokens is not None else None, token)

    def get(self, path: str, **parameters: Any) -> Any:
        """GET `path` (relative to the API's address) with query `parameters`; gives the decoded JSON.

        Raises Unavailable (ERR-HND-016) when there is no answer, or none that says it went well.
        """
        return self._call("GET", path, query=parameters)

    def post(self, path: str, body: Any) -> Any:
        """POST `body` as JSON to `path`; gives the decoded JSON. Raises as `get`."""
        return self._call("POST", path, body=body)

    def _call(self, method: str, path: str, **content: Any) -> Any:
        import requests

        from job_item.reefcalls import is_bearer_refused

        try:
            token = self._bearer.token()
            answer = self._calls.ask(method, path, token, **content)
            if is_bearer_refused(answer) and (other := self._bearer.token(refused=token)) is not None:
                answer = self._calls.ask(method, path, other, **content)
            if not answer.ok:
                raise Unavailable("ERR-HND-016", f"The job API answered {method} {path} with {answer.status_code}.")
            return answer.json() if answer.content else None
        except requests.RequestException as error:
            raise Unavailable("ERR-HND-016", f"The job API did not answer {method} {path}: {error}.") from error
