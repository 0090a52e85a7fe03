"""What the Job Manager is asked, and how (protocol job-item.md, sections 2.4 and 2.7)."""

from __future__ import annotations

import platform
import sys
from typing import Any

from job_item.hardware import Unknown
from job_item.hardware.host import host_information
from job_item.manager.address import BUNDLE_PATH, CONFIG_PATH
from job_item.manager.answer import Answer, read_answer
from job_item.settings import Settings

ANSWER_MAX_BYTES = 8 << 20
BUNDLE_MAX_BYTES = 2 << 20
_SYSTEMS = {"win32": "windows"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm", "armv6l": "arm"}


def ask_settings(settings: Settings) -> Answer:
    """Ask for the settings of this node.

    Raises Unavailable (ERR-MGR-001), NodeError (ERR-MGR-002: refused, ERR-MGR-003: the answer cannot be used).
    """
    from job_item.manager.transport import post

    question = {
        "project_id": settings.credential.project_id,
        "secret_key": settings.credential.secret_key.get_secret_value(),
        "os": _SYSTEMS.get(sys.platform, sys.platform),
        "arch": _MACHINES.get(platform.machine().lower(), platform.machine().lower()),
        "host": _host(),
    }
    what = "the question for settings"
    return read_answer(post(settings.end_point + CONFIG_PATH, question, what=what, size_max_bytes=ANSWER_MAX_BYTES))


def ask_bundle(settings: Settings) -> bytes:
    """Ask for the certificates of the broker, a ZIP. Raises as `ask_settings`."""
    from job_item.manager.transport import post

    question = {
        "app_id": settings.credential.project_id,
        "app_secret": settings.credential.secret_key.get_secret_value(),
    }
    what = "the question for certificates"
    return post(settings.end_point + BUNDLE_PATH, question, what=what, size_max_bytes=BUNDLE_MAX_BYTES)


def _host() -> dict[str, Any]:
    try:
        return dict(host_information())
    except Unknown:
        return {}
