"""The file `.env` beside the configuration: `NAME=value` lines for `${NAME}`, for jobs and for execs.

`export` before a name, `#` comments, '...' (taken as it is) and "..." (with \\n, \\t, \\r and the like) are understood;
quoted values may have several lines. Values are not expanded.
"""

from __future__ import annotations

import re

from job_item.errors import Fault

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ENTRY = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?:
        '(?P<single>[^']*)'[ \t]*(?:\#[^\n]*)?
      | "(?P<double>(?:[^"\\]|\\.)*)"[ \t]*(?:\#[^\n]*)?
      | (?!['"])(?P<bare>[^\n]*?)(?:(?:(?<=[ \t])|(?<==))\#[^\n]*)?[ \t]*
    )(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


def parse_dotenv(text: str, file: str) -> tuple[dict[str, str], list[Fault]]:
    """Read `text`: the values, the last of a name winning, and one fault for each line that cannot be read."""
    text = text.replace("\r\n", "\n")
    values: dict[str, str] = {}
    faults: list[Fault] = []
    position = 0
    while position < len(text):
        found = _BLANK.match(text, position) or _ENTRY.match(text, position)
        if found is None:
            line = text.count("\n", 0, position) + 1
            faults.append(Fault("ERR-CFG-009", "this line is not NAME=value", file, line))
            end = text.find("\n", position)
            position = len(text) if end < 0 else end + 1
            continue
        if found.re is _ENTRY:
            values[found["name"]] = _value(found)
        position = found.end()
    return values, faults


def _value(found: re.Match[str]) -> str:
    """The value of one entry, its quotes undone."""
    if found["single"] is not None:
        return found["single"]
    if found["double"] is not None:
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[0]), found["double"])
    return found["bare"].strip()
