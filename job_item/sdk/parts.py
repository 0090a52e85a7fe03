"""A text of any length as messages that a node takes: cut at the borders of characters, numbered. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

MSG_LIMIT_BYTES = 102_400
"""The longest `msg` of a notification in UTF-8 (protocol job-item.md, section 7)."""
HEAD_BYTES = 64
"""Room for the line that numbers a part."""


def messages(read: Callable[[], Iterable[bytes]], limit_bytes: int = MSG_LIMIT_BYTES) -> Iterator[str]:
    """Give the messages of a text; one that fits is a message as it is, none comes of an empty text.

    `read` gives the text as bytes, each time from its beginning: it is read once to count and once to cut, so that only
    one message is held at a time. What is no UTF-8 is replaced (U+FFFD). Parts begin with a line `[part 2 of 5]`.
    """
    whole = list(islice(cut(read(), limit_bytes), 2))
    if len(whole) < 2:
        yield from whole
        return
    room_bytes = limit_bytes - HEAD_BYTES
    parts = sum(1 for _ in cut(read(), room_bytes))
    for number, piece in enumerate(cut(read(), room_bytes), 1):
        yield f"[part {number} of {parts}]\n{piece}"


def cut(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[str]:
    """Cut a text into pieces of at most `limit_bytes` (4 or more) of UTF-8, none of them empty."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = bytearray()
    for chunk in chunks:
        pending += decoder.decode(chunk).encode()
        while len(pending) > limit_bytes:
            border = _border(pending, limit_bytes)
            yield pending[:border].decode()
            del pending[:border]
    pending += decoder.decode(b"", final=True).encode()
    while pending:
        border = _border(pending, limit_bytes)
        yield pending[:border].decode()
        del pending[:border]


def _border(text: bytearray, limit_bytes: int) -> int:
    """The last border of a character that is not behind the limit."""
    if len(text) <= limit_bytes:
        return len(text)
    border = limit_bytes
    while text[border] & 0b1100_0000 == 0b1000_0000:
        border -= 1
    return border
