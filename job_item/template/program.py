"""A template made ready to be rendered: literal text, values with the function that writes each, sections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from job_item.template.mustache import Node, Tag, Text, name_of
from job_item.template.safe import Encode, check_text
from job_item.template.scope import Stack, items_of, look_up, text_of


@dataclass(frozen=True, slots=True)
class Value:
    """A value and how it is written."""

    path: tuple[str, ...]
    name: str
    encode: Encode


@dataclass(frozen=True, slots=True)
class Block:
    """A section."""

    path: tuple[str, ...]
    inverted: bool
    body: tuple[Piece, ...]


Piece = str | Value | Block


def build(nodes: tuple[Node, ...], encoder_of: Callable[[Tag], Encode]) -> tuple[Piece, ...]:
    """Make the pieces of `nodes`; `encoder_of` gives the function that writes the values of a tag."""
    pieces: list[Piece] = []
    for node in nodes:
        if isinstance(node, Text):
            pieces.append(node.text)
        elif isinstance(node, Tag):
            pieces.append(Value(node.path, name_of(node), encoder_of(node)))
        else:
            pieces.append(Block(node.path, node.inverted, build(node.body, encoder_of)))
    return tuple(pieces)


def render(pieces: tuple[Piece, ...], stack: Stack) -> str:
    """Write `pieces` with the values of `stack`; raises JobFailure where a value cannot stand where it would."""
    parts: list[str] = []
    _write(pieces, stack, parts)
    return "".join(parts)


def _write(pieces: tuple[Piece, ...], stack: Stack, parts: list[str]) -> None:
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(piece)
        elif isinstance(piece, Value):
            value = text_of(look_up(stack, piece.path))
            check_text(value, piece.name)
            parts.append(piece.encode(value))
        else:
            items = items_of(look_up(stack, piece.path))
            if piece.inverted:
                if not items:
                    _write(piece.body, stack, parts)
            else:
                for item in items:
                    _write(piece.body, (*stack, item), parts)
