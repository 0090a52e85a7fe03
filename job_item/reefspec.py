"""`reefguide`: the HTTP job queue that a node polls (protocol reefguide.md, sections 2, 6 and 14)."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from job_item.kinds import Seconds
from job_item.quantity import Unfit, shown
from job_item.section import Section

JOB_TYPES = ("TEST", "SUITABILITY_ASSESSMENT", "REGIONAL_ASSESSMENT", "DATA_SPECIFICATION_UPDATE", "ADRIA_MODEL_RUN")
"""What the API knows (section 6); each is the event of a job here."""


def _api_endpoint(value: str) -> str:
    """Take the address of the web API without the slash at its end, which its server would answer with 404."""
    text = value.strip().rstrip("/")
    try:
        url = urlsplit(text)
        is_url = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        is_url = False
    if not is_url or any(sign.isspace() for sign in text):
        raise Unfit("ERR-CFG-007", f"wants a URL that begins with http:// or https://, not {shown(value)}")
    return text


def _job_types(value: object) -> object:
    """Take a comma list as well as a list; what stands twice counts once."""
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",")]
    return list(dict.fromkeys(value)) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def _job_type(value: str) -> str:
    """Take a type that the API knows; the case counts."""
    if value not in JOB_TYPES:
        near = difflib.get_close_matches(value.upper(), JOB_TYPES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise Unfit("ERR-RFG-001", f"must be a job type of the API, not {shown(value)}{hint}")
    return value


class ReefGuide(Section):
    """`reefguide`: where the web API is, who this node is to it, and which jobs it takes how."""

    api_endpoint: Annotated[str, AfterValidator(_api_endpoint)]
    """The address of the web API."""
    job_types: Annotated[
        tuple[Annotated[str, AfterValidator(_job_type)], ...], BeforeValidator(_job_types), Field(min_length=1)
    ]
    """The types to poll for; each is the event of a job."""
    username: str
    """The user."""
    password: SecretStr
    """Its password."""
    password_file: str | None = None
    """File that holds the password, in place of `password`."""
    data_path: str | None = None
    """Passed on to jobs."""
    cache_path: str | None = None
    """Passed on to jobs."""
    aws_region: str = "ap-southeast-2"
    """Passed on to jobs."""
    s3_endpoint: str | None = None
    """Passed on to jobs."""
    poll_interval: Seconds = Field(default=2.0, ge=0.1)
    """Pause between polls."""
    idle_timeout: Seconds = Field(default=300.0, ge=0)
    """Without a job for so long the node ends, unless it has a broker too; `0`: never."""
    max_concurrent_jobs: int = Field(default=1, ge=1)
    """Jobs of the API that run at once."""
    settle: Seconds = Field(default=0.5, ge=0, le=30)
    """How long after a claim is looked who else was granted the job."""
    watch_interval: Seconds = Field(default=15.0, ge=0.1)
    """How often is looked whether the result of a running job is still wanted."""
    deadline: Seconds | None = Field(default=None, gt=0)
    """How long a job may take in all. Default: until its assignment expires."""
    on_timed_out: Literal["finish", "cancel"] = "finish"
    """Whether a job that the server marks TIMED_OUT goes on (`finish`) or is ended (`cancel`)."""
    request_timeout: Seconds = Field(default=30.0, ge=1)
    """How long an answer of the API may take."""
    sentry_dsn: SecretStr | None = None
    """Where failed jobs are told to Sentry."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {name: value for name, value in content.items() if value != ""}

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return (self.password.get_secret_value(), self.sentry_dsn.get_secret_value() if self.sentry_dsn else "")
