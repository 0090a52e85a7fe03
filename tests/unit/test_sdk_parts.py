"""Texts cut into messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from job_item.sdk.parts import HEAD_BYTES, cut, messages


@given(st.text(max_size=300), st.integers(4, 40), st.integers(1, 20))
def test_pieces_are_the_text_cut_between_characters_each_as_long_as_it_can_be(
    text: str, limit: int, chunk: int
) -> None:
    raw = text.encode()
    pieces = list(cut([raw[i : i + chunk] for i in range(0, len(raw), chunk)], limit))
    assert "".join(pieces) == text
    assert all(limit - 3 <= len(piece.encode()) <= limit for piece in pieces[:-1])
    assert all(0 < len(piece.encode()) <= limit for piece in pieces)


@given(st.binary(max_size=300), st.integers(4, 40), st.integers(1, 20))
def test_bytes_that_are_no_text_are_replaced_wherever_they_are_cut(raw: bytes, limit: int, chunk: int) -> None:
    pieces = list(cut([raw[i : i + chunk] for i in range(0, len(raw), chunk)], limit))
    assert "".join(pieces) == raw.decode(errors="replace")
    assert all(len(piece.encode()) <= limit for piece in pieces)


@given(st.text(max_size=900), st.integers(HEAD_BYTES + 4, 300))
def test_messages_are_within_the_limit_and_numbered_where_there_are_several(text: str, limit: int) -> None:
    sent = list(messages(lambda: [text.encode()], limit))
    assert all(len(message.encode()) <= limit for message in sent)
    if len(text.encode()) <= limit:
        assert sent == ([text] if text else [])
    else:
        assert [message.split("\n", 1)[0] for message in sent] == [
            f"[part {number} of {len(sent)}]" for number in range(1, len(sent) + 1)
        ]
        assert "".join(message.split("\n", 1)[1] for message in sent) == text
