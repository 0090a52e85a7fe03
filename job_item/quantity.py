"""Durations and sizes as people write them: `500ms`, `2h`, `64 MiB`; plain numbers are seconds and bytes."""

from __future__ import annotations

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DECIMAL = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_BINARY = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_BYTES = _DECIMAL | _BINARY
_AMOUNT = r"\d+(?:\.\d+)?|\.\d+"
_PART = re.compile(rf"({_AMOUNT})\s*(ms|s|m|h|d)\s*", re.ASCII)
_DURATION = re.compile(rf"(?:(?:{_AMOUNT})\s*(?:ms|s|m|h|d)\s*)+", re.ASCII)
_PLAIN = re.compile(r"[-+]?[\d._]{1,30}", re.ASCII)
_SIZE = re.compile(rf"({_AMOUNT})\s*([A-Za-z]+)", re.ASCII)


class Unfit(ValueError):  # noqa: N818 - a verdict on a value, told to the user as a fault
    """A value that a setting cannot take. `code` is of the register; the text says what is wrong in plain words."""

    def __init__(self, code: str, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


def seconds(value: object) -> float:
    """Read a duration: a number of seconds, or text such as `500ms`, `30s`, `5m`, `1h30m`, `1d`.

    Raises `Unfit` for anything else, for what is not finite, too.
    """
    number = _number(value)
    if number is None and isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        number = sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(value))
    if number is None or not math.isfinite(number):
        raise Unfit("ERR-CFG-010", f"wants a duration such as 30, 500ms, 30s, 5m, 2h or 1d, not {shown(value)}")
    return number


def size_bytes(value: object) -> int:
    """Read a size: a number of bytes, or text such as `64 MiB`, `1 GiB`, `10 MB`, `1.5 GiB`.

    Raises `Unfit` for anything else, for a fraction of a byte, too.
    """
    number = _number(value)
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found and found[2].upper() in _BYTES:
        number = float(found[1]) * _BYTES[found[2].upper()]
        number = float(round(number)) if found[2].upper() != "B" else number
    if number is None or not math.isfinite(number) or number != int(number):
        raise Unfit("ERR-CFG-011", f"wants a size such as 65536, 64 MiB, 1 GiB or 10 MB, not {shown(value)}")
    return int(number)


def shown(value: object) -> str:
    """Say what a value is, for a message: short text is quoted, everything else is named by its kind."""
    if isinstance(value, str):
        short = value if len(value) <= 60 else value[:57] + "..."
        return short if _PLAIN.fullmatch(short) else f"'{short}'"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (bool, int)):
        return str(value).lower()
    kinds: dict[type, str] = {type(None): "nothing", dict: "a mapping", list: "a list", tuple: "a list"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _number(value: object) -> float | None:
    """The plain number that `value` is or spells."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None
