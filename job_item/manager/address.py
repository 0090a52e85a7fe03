"""Where the Job Manager is: `end_point` as people write it, and the addresses that follow from it."""

from __future__ import annotations

from urllib.parse import urlsplit

from job_item.address import is_loopback
from job_item.quantity import Unfit

CONFIG_PATH = "/api/worker/config"
"""Where a node asks for its settings (protocol job-item.md, section 2.4)."""
BUNDLE_PATH = "/api/worker/config/tls/download"
"""Where it asks for the certificates of its broker (protocol, section 2.7)."""
_WANTED = "wants the address of the Job Manager, such as https://manager.example.org"


def base_of(text: str) -> str:
    """Read `end_point`: scheme, host and port, with or without `/api/worker/config` and slashes behind it.

    The sample configurations of the Go worker have that path, its code appends it (protocol, section 2.4). Raises
    `Unfit`; what is refused is not shown, as it may hold a password.
    """
    if not text.strip():
        return ""
    text = text.strip()
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise Unfit("ERR-CFG-007", _WANTED) from None
    if url.scheme not in ("http", "https") or not url.hostname or not text.isprintable() or " " in text:
        raise Unfit("ERR-CFG-007", _WANTED)
    if "@" in url.netloc:
        raise Unfit("ERR-CFG-007", "has credentials in it", "Use credential.project_id and credential.secret_key.")
    if url.query or url.fragment:
        raise Unfit("ERR-CFG-007", f"{_WANTED}; nothing may follow it")
    path = url.path.rstrip("/").removesuffix(CONFIG_PATH).rstrip("/")
    return f"{url.scheme}://{url.netloc}{path}"


def is_exposed(base: str) -> bool:
    """Whether what is sent there crosses a network in the clear: http, and not to this machine itself."""
    url = urlsplit(base)
    return url.scheme == "http" and not is_loopback(url.hostname or "")
