#!/usr/bin/env python3
"""A job's script with Python and requests: counts what is in its task, uploads the count, hands in a result."""

import json
import os
import sys
from pathlib import Path

import requests

TASK_ID = os.environ["JOB_ITEM_TASK_ID"]
KEY = {"Authorization": f"Bearer {os.environ['JOB_ITEM_PROJECT_KEY']}"}
SILENCE_S = (10, 60)


def notify(text: str) -> None:
    """Say how far this is."""
    answer = requests.post(os.environ["JOB_ITEM_MSG_NOTIF_HOST"], json={"msg": text}, timeout=SILENCE_S)
    answer.raise_for_status()


def upload(path: Path) -> dict:
    """Send a file to the Job Manager; gives its answer. `requests` holds the whole form in memory."""
    with path.open("rb") as file:
        answer = requests.post(
            os.environ["JOB_MANAGER_UPLOAD_FILE"], files={"file": (path.name, file)}, headers=KEY, timeout=SILENCE_S
        )
    answer.raise_for_status()
    return answer.json()


def submit(result: dict) -> None:
    """Hand in the result."""
    answer = requests.post(
        os.environ["JOB_MANAGER_RESULT_URL"],
        json={"status": "completed", "result": result},
        headers=KEY,
        timeout=SILENCE_S,
    )
    answer.raise_for_status()


def main() -> None:
    """Do the job."""
    notify("report begins")
    task = json.loads(Path(f"{TASK_ID}.json").read_text())

    notify("report is written")
    report = Path(f"report-{TASK_ID}.csv")
    report.write_text("name,value\n" + "".join(f"{name},{len(str(value))}\n" for name, value in sorted(task.items())))
    try:
        uploaded = upload(report)
    finally:
        report.unlink()
    submit({"members": len(task), "upload": uploaded})
    notify(f"report is done: {len(task)} members")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"report failed: {error}", file=sys.stderr)
        notify(f"report failed: {error}")
        sys.exit(1)
