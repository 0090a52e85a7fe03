from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import BadMessage
from supervisor.cli.form import parse_words, read_form


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ([], {}),
        (["name=Ada"], {"name": "Ada"}),
        (["count=3"], {"count": "3"}),
        (["count:=3"], {"count": 3}),
        (["empty="], {"empty": ""}),
        (["formula=a=b:=c"], {"formula": "a=b:=c"}),
        (["text=:=3"], {"text": ":=3"}),
        (["a:b=c"], {"a:b": "c"}),
        (["list:=[1, null, {}]"], {"list": [1, None, {}]}),
        (['text:="Ada"'], {"text": "Ada"}),
        (["a=1", "b:=true"], {"a": "1", "b": True}),
        (["lines=one\ntwo"], {"lines": "one\ntwo"}),
        (["big:=12345678901234567890"], {"big": 12345678901234567890}),
    ],
)
def test_words_become_the_form(words: list[str], form: dict[str, Any]) -> None:
    assert parse_words(words) == form


@pytest.mark.parametrize(
    "words", [["name"], ["=x"], [":=3"], ["a=1", "a=2"], ["a:=Ada"], ["a:=NaN"], ["a:="], ["a:=" + "[" * 100_000]]
)
def test_a_wrong_word_is_refused_in_one_sentence(words: list[str]) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_words(words)
    assert caught.value.code == "ERR-SUP-054"
    assert caught.value.message.endswith(".")
    assert caught.value.remedy


KEYS = st.text(min_size=1).filter(lambda key: "=" not in key and not key.endswith(":"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(KEYS, st.text(), max_size=4))
def test_every_text_arrives_as_it_is(form: dict[str, str]) -> None:
    assert parse_words([f"{key}={value}" for key, value in form.items()]) == form


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_every_json_value_arrives_as_it_is(form: dict[str, Any]) -> None:
    assert parse_words([f"{key}:={json.dumps(value)}" for key, value in form.items()]) == form


@pytest.mark.parametrize("form", [{}, [], {"a": {"b": [1]}}, ["x", 1]])
def test_a_file_gives_an_object_or_an_array(tmp_path: Path, form: object) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(form))
    assert read_form([], str(path)) == form


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"name": "Ada"}'))
    assert read_form([], "-") == {"name": "Ada"}


@pytest.mark.parametrize("text", [b"3", b'"text"', b"null", b"{", b"", b"\xff"])
def test_a_file_that_is_no_form_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(text)
    with pytest.raises(BadMessage, match=r"data\.json"):
        read_form([], str(path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(BadMessage, match=r"no/such\.json"):
        read_form([], "no/such.json")


def test_words_and_a_file_together_are_refused() -> None:
    with pytest.raises(BadMessage, match="twice"):
        read_form(["a=1"], "-")
