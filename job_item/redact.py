"""The one redactor: no secret passes it, in whatever form it is written.

Every sink (log lines, `config show`, API errors) is behind it. Two nets: known values are replaced wherever they stand,
and values under a telling name are masked whatever they are.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
SECRET_MIN_LENGTH = 6
"""Shorter values are not looked for: they would blot out ordinary words."""

_DEPTH_MAX = 16
_SECRET_NAME = re.compile(
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|authorization|cookie|(?:api|access|private|project|secret)[_-]?key)$",
    re.IGNORECASE,
)
_TELLING_TEXT = re.compile(
    r"""(\bauthorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token)\s+)?)[\w.~+/=-]+|(://)[^\s/@]*:[^\s/@]*(?=@)""",
    re.IGNORECASE,
)
"""What is a secret by its surroundings: the credentials of an Authorization header and those in a URL."""


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Tell whether a value under this name (a key, a variable, a header) is to be masked: `db_password`, `X-Token`."""
    return _SECRET_NAME.search(name) is not None


def secret_values(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values that stand under telling names."""
    return tuple(value for name, value in variables.items() if value and is_secret_name(name))


class Redactor:
    """Replaces secrets in text and in whole structures.

    Parameters: `secrets`, the values that must not be shown; each is also found JSON-escaped, URL-encoded, in
    hexadecimal and in base64 (at any offset), and each line of one that has several lines is found by itself.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SECRET_MIN_LENGTH}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def text(self, text: str) -> str:
        """`text` with every secret masked."""
        if self._known.search(text):
            text = self._known.sub(MASK, text)
        if "://" in text or "uthorization" in text.lower():
            text = _TELLING_TEXT.sub(rf"\1\2{MASK}", text)
        return text

    def value(self, value: object, name: str = "", depth: int = 0) -> object:
        """A copy of `value` made of plain JSON types, with every secret masked; `name` is the key it stands under."""
        if value is None or value == "" or isinstance(value, bool):
            return value
        if name and is_secret_name(name):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)) and math.isfinite(value):
            text = str(value)
            return value if len(text) < SECRET_MIN_LENGTH or self.text(text) == text else MASK
        return self._nested(value, name, depth)

    def _nested(self, value: object, name: str, depth: int) -> object:
        if isinstance(value, Mapping) and depth < _DEPTH_MAX:
            return {self.text(str(key)): self.value(item, str(key), depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEPTH_MAX:
            return [self.value(item, name, depth + 1) for item in value]
        return self.text(value.decode(errors="replace") if isinstance(value, (bytes, bytearray)) else str(value))


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret may be written."""
    for part in {secret, secret.strip(), *map(str.strip, secret.splitlines())}:
        if len(part) < SECRET_MIN_LENGTH:
            continue
        yield from (part, repr(part)[1:-1], json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
        encoded = part.encode(errors="surrogatepass")
        for text in (quote(encoded), quote(encoded, safe=""), quote_plus(encoded)):
            yield from (text, re.sub("%..", lambda code: code[0].lower(), text))
        yield from (encoded.hex(), encoded.hex().upper())
        yield from _base64_forms(encoded)


def _base64_forms(encoded: bytes) -> Iterator[str]:
    """A secret in base64: by itself, and the part of it that shows at each of the three offsets in a longer text."""
    yield base64.b64encode(encoded).decode()
    yield base64.urlsafe_b64encode(encoded).decode()
    for offset in range(3):
        start = (offset * 8 + 5) // 6
        stop = (offset + len(encoded)) * 8 // 6
        shifted = bytes(offset) + encoded
        yield base64.b64encode(shifted).decode()[start:stop]
        yield base64.urlsafe_b64encode(shifted).decode()[start:stop]
