"""The `data` of a job: read once where it comes in, written in one canonical form.

The form is that of the task file (protocol job-item.md, sections 4.1.2 and 11): compact, members sorted by name, `<`,
`>`, `&`, U+2028 and U+2029 as `\\uXXXX`, all other text as UTF-8, no newline at the end. Integers keep all their
digits, where the Go worker rounded them (section 9.1, L18).
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, NoReturn

from job_item.errors import BadMessage

Data = dict[str, Any] | list[Any]

DEPTH_LIMIT = 100
"""How deep objects and arrays may stand in each other."""

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_HEX = "[0-9a-fA-F]"
_LONE_ESCAPE = re.compile(
    rf"\\(?:u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|(?P<lone>u[dD][89a-fA-F]{_HEX}{{2}})|.)", re.DOTALL
)
_LONE = re.compile("[\ud800-\udfff]")


def parse(raw: bytes | str) -> Data:
    """Read the data of a job from JSON text; `null` is `{}` (protocol job-item.md, section 9.2, R3).

    Raises `BadMessage` when it is not JSON, or neither an object nor an array.
    """
    return adopt(decode(raw))


def adopt(value: object) -> Data:
    """Take what stands where the data of a job is expected.

    Raises `BadMessage` unless it is an object, an array or null.
    """
    if value is None:
        return {}
    if isinstance(value, dict | list):
        return value
    raise _refusal("it is neither an object nor an array")


def decode(raw: bytes | str) -> Any:
    """Read any JSON document, strictly: no NaN, no number beyond a 64-bit float, no more than `DEPTH_LIMIT` levels.

    Of members with one name the last counts. Half of a surrogate pair is read as U+FFFD here: no file, no argument and
    no variable could carry it. (The local API reads its requests by itself and refuses such text.) Raises `BadMessage`.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        value = _DECODER.decode(_mend(text))
    except UnicodeDecodeError as error:
        raise _refusal(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _refusal(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise _refusal("a number in it has too many digits") from None
    if text.count("{") + text.count("[") > DEPTH_LIMIT and _depth(value) > DEPTH_LIMIT:
        raise _too_deep()
    return value


def encode(data: Data) -> bytes:
    """Write data in its canonical form.

    Raises `BadMessage` when JSON has no words for it: NaN, infinity, endless depth.
    """
    try:
        return _escape(_ENCODER.encode(data))
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise _refusal(f"it cannot be written as JSON ({error})") from None


def encode_legacy(data: Data) -> bytes:
    """Write data that were accepted as the Go worker wrote its task files: numbers went through a 64-bit float there.

    Integers above 2^53 lose digits, `1.0` is `1` (protocol job-item.md, sections 4.1.2 and 11). An integer that no
    float can hold, with which the Go worker broke down, keeps its digits.
    """
    return _escape(_write_legacy(data))


def _escape(text: str) -> bytes:
    for sign, escape in _ESCAPES.items():
        text = text.replace(sign, escape)  # these signs stand nowhere in JSON but inside of strings
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair: its escape is the JSON escape


def _write_legacy(value: object) -> str:
    match value:
        case dict():
            members = (f"{_write_legacy(name)}:{_write_legacy(value[name])}" for name in sorted(value))
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(_write_legacy, value)) + "]"
        case int() | float() if not isinstance(value, bool):
            return _number_legacy(value)
    return json.dumps(value, ensure_ascii=False)


def _number_legacy(value: float) -> str:
    """The shortest digits that make the same float; an exponent below 1e-6 and from 1e21 on (Go's encoding/json)."""
    try:
        number = float(value)
    except OverflowError:
        return str(value)
    if number and not 1e-6 <= abs(number) < 1e21:
        return re.sub("e-0([0-9])$", r"e-\1", repr(number))
    whole, _, fraction = format(Decimal(repr(number)), "f").partition(".")
    return whole if fraction in ("", "0") else f"{whole}.{fraction}"


def _mend(text: str) -> str:
    """Put U+FFFD in the place of each half of a surrogate pair, escaped or plain."""
    if "\\ud" in text or "\\uD" in text:
        text = _LONE_ESCAPE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)
    return text if text.isascii() else _LONE.sub("\ufffd", text)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _refusal(f"the number {digits[:40]} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise _refusal(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
"""Made once: the functions of the library make one for each call that has options."""


def _depth(value: object) -> int:
    """How many levels of objects and arrays there are, counted without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [part for item in level for part in (item.values() if isinstance(item, dict) else item)]
    return depth


def _too_deep() -> BadMessage:
    return _refusal(f"it is nested more than {DEPTH_LIMIT} levels deep")


def _refusal(reason: str) -> BadMessage:
    return BadMessage("ERR-JOB-008", f"The data of the job is not usable: {reason}.")
