"""The two clients that a handler may ask its context for, made when it does: the storage, and the API of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

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

    return open_storage(facts.storage_uri, region=facts.aws_region, endpoint=facts.s3_endpoint)


def api_of(facts: Facts) -> ApiClient:
    """Make the client of the API that a job came from. Raises NodeError (ERR-HND-015)."""
    if facts.api_endpoint is None:
        raise NodeError("ERR-HND-015", "This job did not come from a job API.")
    return ApiClient(facts.api_endpoint, facts.api_token)


class ApiClient:
    """Calls of the API that a job came from, as the user of the node. Its token is the one of the job's start."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        import requests

        self._endpoint = f"{endpoint.rstrip('/')}/"
        self._session = requests.Session()
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **parameters: Any) -> Any:
        """GET `path` (relative to the API's address) with query `parameters`; gives the decoded JSON.

        Raises Unavailable (ERR-HND-016) when there is no answer, or none that says it went well.
        """
        return self._call("GET", path, params=parameters)

    def post(self, path: str, body: Any) -> Any:
        """POST `body` as JSON to `path`; gives the decoded JSON. Raises as `get`."""
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **content: Any) -> Any:
        import requests

        try:
            answer = self._session.request(
                method, urljoin(self._endpoint, path.lstrip("/")), timeout=ANSWER_S, allow_redirects=False, **content
            )
            if not answer.ok:
                raise Unavailable("ERR-HND-016", f"The job API answered {method} {path} with {answer.status_code}.")
            return answer.json() if answer.content else None
        except requests.RequestException as error:
            raise Unavailable("ERR-HND-016", f"The job API did not answer {method} {path}: {error}.") from error
