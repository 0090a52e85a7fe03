"""What a ReefGuide job is told of its assignment: the members of the original's context (protocol reefguide.md, 10).

A command finds it in its environment, a handler in its context.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from job_item.handlers.context import Facts
from job_item.reefspec import ReefGuide
from worker.journal import Grant

FILES_MAX = 25
"""Files below the storage URI of a job that the API hands out; with one more it hands out none (section 5.5)."""


def variables_of(grant: Grant, settings: ReefGuide) -> dict[str, str]:
    """Where files go, which job this is, and until when; `DATA_PATH` and the like under the names of the deployment."""
    ends_at = (grant.taken_at or 0.0) + (grant.lasts_s or 0.0)
    given = {
        "JOB_ITEM_STORAGE_URI": grant.storage_uri,
        "JOB_ITEM_JOB_ID": str(grant.job_id),
        "JOB_ITEM_JOB_TYPE": grant.job_type,
        "JOB_ITEM_ASSIGNMENT_ID": str(grant.assignment_id),
        "JOB_ITEM_EXPIRES_AT": datetime.fromtimestamp(ends_at, UTC).isoformat(timespec="seconds"),
        "AWS_REGION": settings.aws_region,
        "S3_ENDPOINT": settings.s3_endpoint,
        "DATA_PATH": settings.data_path,
        "CACHE_PATH": settings.cache_path,
    }
    return {name: value for name, value in given.items() if value is not None}


def facts_of(grant: Grant | None, settings: ReefGuide, token: str | None, tokens: str) -> Facts:
    """The same for a handler, and what it needs to call the API; without a grant only what holds for all jobs.

    `token` is the one that is shown now, `tokens` the file in which those that follow will be.
    """
    places = Facts(
        aws_region=settings.aws_region,
        s3_endpoint=settings.s3_endpoint,
        cache_path=settings.cache_path,
        data_path=settings.data_path,
    )
    if grant is None:
        return places
    lasts_s = settings.deadline if settings.deadline is not None else grant.lasts_s or 0.0
    return replace(
        places,
        storage_uri=grant.storage_uri,
        files_max=FILES_MAX,
        assignment_id=str(grant.assignment_id),
        job_id=str(grant.job_id),
        deadline_at=(grant.taken_at or 0.0) + lasts_s,
        api_endpoint=settings.api_endpoint,
        api_token=token,
        api_tokens=tokens,
    )
