"""What the command of a ReefGuide job finds in its environment: the members of the original's context (section 10)."""

from __future__ import annotations

from datetime import UTC, datetime

from job_item.reefspec import ReefGuide
from worker.journal import Grant


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
