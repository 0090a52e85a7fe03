"""Errors told to Sentry where `SENTRY_DSN` is set: an extra, imported then only (protocol reefguide.md, section 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from job_item import __version__
from job_item.log import get
from worker.aside import aside
from worker.journal import Grant, Settlement

FLUSH_S = 2.0
LIMIT_S = 1.0
"""How long the end of a node waits for it."""


class Sentry:
    """Tells errors as plain texts with tags: no traces, no breadcrumbs, nothing of the environment.

    Without a `dsn` nothing is told. `identity` is the name of the node.
    """

    def __init__(self, dsn: str | None, identity: str) -> None:
        self._dsn = dsn
        self._identity = identity
        self._sdk: Any = None

    async def open(self) -> None:
        """Start telling; a warning says where that cannot be."""
        if self._dsn is not None:
            self._sdk = await aside(self._load)

    def tell_failure(self, grant: Grant, end: Settlement) -> None:
        """Tell of a job that failed."""
        message = f"Job {grant.job_id} of type {grant.job_type} failed: {end.error_code}: {end.error}"
        self._tell(message, {"job_id": str(grant.job_id), "job_type": grant.job_type, "code": str(end.error_code)})

    def tell_bug(self, bug: BaseException) -> None:
        """Tell of a failure of our own."""
        self._tell(f"Polling failed: {bug!r}", {"code": "ERR-HST-003"})

    async def close(self) -> None:
        """Wait a moment for what is on its way."""
        if self._sdk is not None:
            sdk = self._sdk
            await asyncio.wait({aside(lambda: sdk.flush(timeout=FLUSH_S))}, timeout=LIMIT_S)

    def _tell(self, message: str, tags: Mapping[str, str]) -> None:
        """Tell one error; a thread of the library sends it."""
        if self._sdk is None:
            return
        with self._sdk.new_scope() as scope:
            for name, value in tags.items():
                scope.set_tag(name, value)
            self._sdk.capture_message(message, level="error")

    def _load(self) -> Any:
        try:
            import sentry_sdk

            sentry_sdk.init(
                dsn=self._dsn,
                release=f"job_item@{__version__}",
                server_name=self._identity,
                default_integrations=False,
                traces_sample_rate=None,
                send_default_pii=False,
                max_breadcrumbs=0,
                include_local_variables=False,
            )
        except Exception as error:
            # A missing package, a DSN that is none, whatever the library makes of its surroundings: jobs go on.
            get("worker").warning("sentry.off", code="ERR-RFG-015", reason=f"{type(error).__name__}: {error}")
            return None
        return sentry_sdk
