"""What `notif_add` carries (protocol job-item.md, section 11), signs escaped as Go does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime


def note_body(msg: str, at: float) -> bytes:
    """A notification of a job's script at a moment: local time with offset."""
    moment = datetime.fromtimestamp(at).astimezone().replace(microsecond=0).isoformat()
    created_at = f"{moment[:-6]}Z" if moment.endswith("+00:00") else moment
    return written({"created_at": created_at, "msg": msg, "status": "process"})


def written(note: Mapping[str, str]) -> bytes:
    """A notification as it is sent; its members are sorted."""
    text = json.dumps(note, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "replace")
