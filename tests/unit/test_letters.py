"""Dead letters as text: what was written is read again, and what a server puts there is shown as well as it can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.letters import Letter, read_letter, write_letter


@given(
    attempts=st.integers(0, 99),
    error=st.text(max_size=50),
    moment=st.floats(0, 4e9),
    data=st.dictionaries(st.text("abc", max_size=3), st.integers(0, 9), max_size=3),
)
def test_a_letter_is_read_as_it_was_written(attempts: int, error: str, moment: float, data: dict[str, int]) -> None:
    body = ("{" + ",".join(f'"{name}":{value}' for name, value in sorted(data.items())) + "}").encode()
    letter = Letter("T1", "render", body, "ERR-RUN-001", error, attempts, moment, "me", 2)
    assert read_letter(write_letter(letter)) == letter


def test_a_trigger_that_a_server_has_put_there_is_shown_with_its_reason() -> None:
    letter = read_letter(b'{"task_id":"T1","data":{"a":1}}', "delivery_limit")
    assert (letter.task_id, letter.event, letter.body, letter.error) == ("T1", "", b'{"a":1}', "delivery_limit")


@given(raw=st.binary(max_size=200))
def test_whatever_lies_there_can_be_shown(raw: bytes) -> None:
    letter = read_letter(raw)
    assert letter.error_code
