"""`upload`: files of a job to the Job Manager."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supervisor.cli.given import ConfigOption

if TYPE_CHECKING:
    from job_item.sdk.filebody import Watch
    from job_item.sdk.receipt import Receipt


def upload_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to send.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line for each file.")] = False,
    _config: ConfigOption = None,
) -> None:
    """Send files of this job to the Job Manager.

    Works in a job, and wherever JOB_MANAGER_UPLOAD_FILE and JOB_ITEM_PROJECT_KEY are exported. Files of any size: they
    are sent as they are read. A broken connection is tried again; where the server speaks tus 1.0.0, a large file goes
    on from where it broke off.
    """
    import os

    from job_item.sdk.filebody import OpenFile
    from job_item.sdk.surroundings import project_key, upload_url
    from job_item.sdk.upload import upload

    upload_url(os.environ)
    project_key(os.environ)
    for path in files:  # nothing is sent while one of them cannot be
        with OpenFile(path):
            pass
    for path in files:
        with _shown(path.name) as watch:
            receipt = upload(path, watch=watch)
        _print(receipt, as_json)


def _print(receipt: Receipt, as_json: bool) -> None:
    from supervisor.wording import harmless, size

    if as_json:
        typer.echo(json.dumps(asdict(receipt), ensure_ascii=False))
        return
    done = "left with the node, until the Job Manager is back:" if receipt.is_waiting else "sent"
    typer.echo(f"{done} {harmless(receipt.path)} ({size(receipt.size_bytes)})")
    for name, text in (
        ("download", receipt.download_url),
        ("security", receipt.security_notice),
        ("expiry", receipt.expiry_notice),
        ("upload", receipt.location),
    ):
        if text:
            typer.echo(f"  {name}: {harmless(text)}")


def _shown(name: str) -> AbstractContextManager[Watch | None]:
    """Give who is told of each block; a bar where standard error is a terminal, else nobody."""
    if not sys.stderr.isatty():
        return nullcontext()
    from job_item.bar import bar
    from supervisor.wording import harmless

    return bar(harmless(name))
