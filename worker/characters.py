"""Where bytes may be cut without cutting a character."""

from __future__ import annotations


def whole_characters(data: bytes) -> int:
    """Tell how many bytes of `data` come before a UTF-8 character that is cut off at its end."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
            return len(data) - back if length > back else len(data)
    return len(data)
