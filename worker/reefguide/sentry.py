"""Errors told to Sentry where `SENTRY_DSN` is set: an extra, imported then only (protocol reefguide.md, section 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from job_item import __version__
from job_item.log import get

FLUSH_S = 2.0


class Sentry:
    """Tells errors as plain texts with tags: no traces, no breadcrumbs, nothing of the environment."""

    def __init__(self, sdk: Any) -> None:
        self._sdk = sdk

    def tell(self, message: str, tags: Mapping[str, str]) -> None:
        """Tell one error; a thread of the library sends it."""
        with self._sdk.new_scope() as scope:
            for name, value in tags.items():
                scope.set_tag(name, value)
            self._sdk.capture_message(message, level="error")

    def close(self) -> None:
        """Wait a moment for what is on its way."""
        self._sdk.flush(timeout=FLUSH_S)


def open_sentry(dsn: str, identity: str) -> Sentry | None:
    """Start telling; None, with a warning, where that cannot be."""
    try:
        import sentry_sdk

        sentry_sdk.init(
            dsn=dsn,
            release=f"job_item@{__version__}",
            server_name=identity,
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
    return Sentry(sentry_sdk)
