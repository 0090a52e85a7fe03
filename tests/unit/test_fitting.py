"""Messages that are too large for the broker: cut between characters, a notification within its text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from worker.fitting import fitted, tail_of_characters
from worker.notice import note_body


@given(text=st.text(max_size=200), limit=st.integers(80, 400))
def test_a_notification_is_cut_within_its_text_and_stays_json(text: str, limit: int) -> None:
    whole = note_body(text, 1735758245.0)
    found = fitted("note", whole, limit)
    assert len(found) <= max(limit, len(note_body("...", 1735758245.0)))
    note = json.loads(found)
    assert list(note) == ["created_at", "msg", "status"]
    if found != whole:
        assert note["msg"].endswith("...")
        assert json.loads(whole)["msg"].startswith(note["msg"][:-3])


@given(text=st.text(alphabet="aé€😀", max_size=100), limit=st.integers(4, 50))
def test_of_a_reason_the_end_is_kept_and_no_character_is_cut(text: str, limit: int) -> None:
    found = fitted("failed", text.encode(), limit)
    assert len(found) <= limit
    assert text.endswith(found.decode())
    assert len(found) > min(limit, len(text.encode())) - 4


@given(text=st.text(alphabet="aé€😀", max_size=100), cut=st.integers(0, 8))
def test_the_rest_of_a_character_at_the_beginning_goes(text: str, cut: int) -> None:
    assert text.endswith(tail_of_characters(text.encode()[cut:]).decode())


def test_what_fits_is_left_as_it_is() -> None:
    for kind, body in (("note", b"no json"), ("failed", b"\x80"), ("finish", b"finish"), ("who", b"h" * 10)):
        assert fitted(kind, body, 10) == body  # type: ignore[arg-type]  # kinds as text
    assert fitted("who", "héé".encode(), 4) == "hé".encode()
