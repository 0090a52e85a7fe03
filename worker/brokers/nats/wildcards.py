"""Which subjects a NATS server lets a client subscribe."""

from __future__ import annotations


def is_subscribable(subject: str) -> bool:
    """Whether a server would take it: of who asks for another one it ends the connection. Wildcards are whole parts."""
    *parts, last = subject.split(".")
    return all(map(_is_part, parts)) and (last == ">" or _is_part(last))


def _is_part(text: str) -> bool:
    return bool(text) and ">" not in text and (text == "*" or "*" not in text)
