#!/usr/bin/env python3
"""The same as report.py with the calls that job_item brings: retries, long texts and large files are taken care of."""

import sys
from pathlib import Path

from job_item import notify, progress, submit_result, task_data, upload


def main() -> None:
    """Do the job."""
    notify("report begins")
    task = task_data()
    lines = ["name,value"]
    for done, (name, value) in enumerate(sorted(task.items()), 1):
        lines.append(f"{name},{len(str(value))}")
        progress(done, len(task), name)
    report = Path("report-of-sdk.csv")
    report.write_text("\n".join(lines) + "\n")
    try:
        receipt = upload(report)
    finally:
        report.unlink()
    submit_result({"members": len(task), "download": receipt.download_url})
    notify(f"report is done: {len(task)} members")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"report failed: {error}", file=sys.stderr)
        notify(f"report failed: {error}")
        sys.exit(1)
