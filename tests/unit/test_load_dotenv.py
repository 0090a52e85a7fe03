"""The file `.env`, line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.dotenv import parse_dotenv


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("\n  # comment\n\nA=1 # more", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("  A = two words  ", {"A": "two words"}),
        ("A=", {"A": ""}),
        ("A= # only a comment", {"A": ""}),
        ("A=a#b", {"A": "a#b"}),
        ("A=$B ${C}", {"A": "$B ${C}"}),
        ("A=x=y", {"A": "x=y"}),
        ("A='a # \"b\" \\n'", {"A": 'a # "b" \\n'}),
        ("A=\"a # 'b'\" # c", {"A": "a # 'b'"}),
        (r'A="1\n2\t3\"4\\5\$6\x"', {"A": '1\n2\t3"4\\5$6\\x'}),
        ("A='1\n2'\nB=3", {"A": "1\n2", "B": "3"}),
        ('A="1\n2"\nB=3', {"A": "1\n2", "B": "3"}),
        ("A=it's", {"A": "it's"}),
    ],
)
def test_entries_are_read(text: str, expected: dict[str, str]) -> None:
    assert parse_dotenv(text, ".env") == (expected, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [("nonsense", 1), ("A=1\n=2", 2), ("1A=2", 1), ("A-B=1", 1), ("A='x", 1), ('\nA="x" y', 2), ("A B=1", 1)],
)
def test_what_is_no_entry_is_told_with_its_line(text: str, line: int) -> None:
    _, faults = parse_dotenv(text, ".env")
    assert [(fault.code, fault.file, fault.line) for fault in faults] == [("ERR-CFG-009", ".env", line)]


@given(st.text(alphabet="AB=\"'#\\\n $x", max_size=200))
def test_any_text_is_read_or_told(text: str) -> None:
    values, faults = parse_dotenv(text, ".env")
    assert all(name.isidentifier() for name in values)
    assert len({fault.line for fault in faults}) == len(faults)


def test_many_unclosed_quotes_are_told_fast() -> None:
    _, faults = parse_dotenv('A="\\\n' * 2000, ".env")
    assert len(faults) <= 2000
