"""Ask the API for a job as a client does, and wait for its end.

`python -m examples.reefguide.submit FOLDER TYPE JSON`: prints the result and the files. Exit code 1 when it has failed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import requests

from examples.reefguide.start import settings_of
from job_item.storage import open_storage

ANSWER_S, PAUSE_S = 10.0, 0.5


def main() -> None:
    """Log in, create the job, look until it is over, show what came of it."""
    folder, job_type, payload = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    environ = settings_of(folder)
    with requests.Session() as session:
        session.trust_env = False  # the API of this example is on this machine
        api = f"{environ['API_ENDPOINT'].rstrip('/')}/api"

        def ask(method: str, path: str, body: Any = None) -> Any:
            answer = session.request(method, api + path, json=body, timeout=ANSWER_S)
            if not answer.ok:
                sys.exit(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer.json()

        user = {"email": environ["WORKER_USERNAME"], "password": environ["WORKER_PASSWORD"]}
        session.headers["Authorization"] = f"Bearer {ask('POST', '/auth/login', user)['token']}"
        number = ask("POST", "/jobs", {"type": job_type, "inputPayload": payload})["jobId"]
        print(f"job {number} waits", flush=True)
        job = ask("GET", f"/jobs/{number}")["job"]
        while job["status"] in ("PENDING", "IN_PROGRESS"):
            time.sleep(PAUSE_S)
            job = ask("GET", f"/jobs/{number}")["job"]
    _show(job, environ)
    sys.exit(job["status"] != "SUCCEEDED")


def _show(job: dict[str, Any], environ: dict[str, str]) -> None:
    print(f"job {job['id']} {job['status']}")
    for assignment in job["assignments"]:
        if assignment["result"] is None:
            continue
        print(f"result {json.dumps(assignment['result']['result_payload'])}")
        storage = open_storage(
            assignment["storage_uri"], region=environ.get("AWS_REGION"), endpoint=environ.get("S3_ENDPOINT")
        )
        for file in storage.list():
            print(f"file {file.uri} {file.size_bytes} bytes")


if __name__ == "__main__":
    main()
