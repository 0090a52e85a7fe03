"""Shell completion of events, task ids, keys of execs and error codes. A completion that cannot answer is silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from supervisor.cli.given import load_settings, nearest_config, open_client

_PATIENCE_S = 0.5


def complete_event(ctx: typer.Context, incomplete: str) -> list[str]:
    """Events of the configured jobs."""
    return _matches(lambda: [job.event for job in load_settings(_config_of(ctx)).settings.jobs], incomplete)


def complete_task(ctx: typer.Context, incomplete: str) -> list[str]:
    """Task ids of the newest jobs."""

    def tasks() -> list[str]:
        return [job["task_id"] for job in open_client(_config_of(ctx), patience_s=_PATIENCE_S).jobs(limit=50)]

    return _matches(tasks, incomplete)


def complete_exec(ctx: typer.Context, incomplete: str) -> list[str]:
    """Keys of the execs of the node that runs."""

    def keys() -> list[str]:
        return [each["key"] for each in open_client(_config_of(ctx), patience_s=_PATIENCE_S).execs()]

    return _matches(keys, incomplete)


def complete_code(incomplete: str) -> list[str]:
    """Codes of the register."""
    from job_item.codes import REGISTER

    return _matches(lambda: list(REGISTER), incomplete)


def complete_status(incomplete: str) -> list[str]:
    """Status words."""
    from job_item.job import Status

    return _matches(lambda: [status.value for status in Status], incomplete)


def _matches(candidates: Callable[[], list[str]], incomplete: str) -> list[str]:
    try:
        return [candidate for candidate in candidates() if candidate.startswith(incomplete)]
    except Exception:
        return []


def _config_of(ctx: typer.Context) -> Path | None:
    own: Path | None = ctx.params.get("config")
    return nearest_config(ctx, own)
