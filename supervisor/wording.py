"""Moments, spans, sizes and foreign text as people read them."""

from __future__ import annotations

import re
from datetime import datetime

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Take out what a terminal would obey: names and notes come from elsewhere. Line ends and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def moment(text: str | None, now: datetime | None = None) -> str:
    """Write an RFC 3339 moment in local time, the day left out where it is today; empty where it has not come."""
    if text is None:
        return ""
    local = datetime.fromisoformat(text).astimezone()
    today = (now or datetime.now().astimezone()).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def age_s(text: str, now: datetime | None = None) -> float:
    """How many seconds ago a RFC 3339 moment was."""
    return max(0.0, ((now or datetime.now().astimezone()) - datetime.fromisoformat(text)).total_seconds())


def duration(seconds: float | None) -> str:
    """Write a span as people say it: `420 ms`, `12 s`, `3 min 5 s`, `2 h 7 min`, `4 d 1 h`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    for size_s, unit, smaller_s, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size_s:
            return f"{whole // size_s} {unit} {whole % size_s // smaller_s} {smaller}"
    return f"{whole} s"


def size(count: int | None) -> str:
    """Write a number of bytes: `512 B`, `1.5 KiB`, `64.0 MiB`."""
    if count is None:
        return ""
    for unit, unit_bytes in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= unit_bytes:
            return f"{count / unit_bytes:.1f} {unit}"
    return f"{count} B"
