"""docs/templates.md: its tables are what the code does, and bash confirms every line of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_item.errors import JobFailure
from job_item.template import compile_command
from tests.shells import judge, replaced
from tools.templates_page import (
    COMMAND,
    CONTEXTS,
    DANGEROUS,
    INTEGERS,
    PAGE,
    REFUSED,
    VALUE,
    fill_in,
    rendered,
    tables,
)

BENIGN = "Zq7Zq"
HOSTILE = (VALUE, COMMAND, "; touch PWNED #", "`touch PWNED`", "'; touch PWNED; '", "a  b", "*", "~", "\\", "-n", "")
SHOWN = ("echo", "cat", "rm")


def test_the_tables_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert fill_in(text) == text, "make docs"
    assert all(f"<!-- {name}: written by `make docs` -->\n{table}\n" in text for name, table in tables().items())


@pytest.mark.parametrize(("place", "cmd"), CONTEXTS, ids=[place for place, _ in CONTEXTS])
def test_bash_takes_every_hostile_value_literally_in_each_place(place: str, cmd: str, tmp_path: Path) -> None:
    (benign,), _ = judge("bash", [rendered(cmd, BENIGN)], tmp_path / "benign", names=("echo",))
    assert benign
    texts = [rendered(cmd, value) for value in HOSTILE]
    got, made = judge("bash", texts, tmp_path / "hostile", names=("echo",))
    assert got == [replaced(benign, BENIGN, value) for value in HOSTILE]
    assert not made


@pytest.mark.parametrize(("place", "cmd"), INTEGERS, ids=[place for place, _ in INTEGERS])
def test_where_the_shell_evaluates_only_an_integer_gets_through(place: str, cmd: str, tmp_path: Path) -> None:
    (said,), made = judge("bash", [rendered(cmd, 3)], tmp_path, names=("echo",))
    assert said
    assert not made
    for value in HOSTILE:
        with pytest.raises(JobFailure) as caught:
            rendered(cmd, value)
        assert caught.value.code == "ERR-RUN-120"


@pytest.mark.parametrize(("cmd", "instead"), REFUSED, ids=[cmd for cmd, _ in REFUSED])
def test_what_is_advised_in_place_of_a_refused_command_is_safe(cmd: str, instead: str, tmp_path: Path) -> None:
    if "{{{" in instead:
        compile_command(instead)
        return
    values = (3,) if "$((" in instead else HOSTILE
    _, made = judge("bash", [rendered(instead, value) for value in values], tmp_path, names=SHOWN)
    assert not made


@pytest.mark.parametrize(("how", "cmd"), DANGEROUS)
def test_bash_runs_a_value_only_where_the_page_says_so(how: str, cmd: str, tmp_path: Path) -> None:
    _, made = judge("bash", [rendered(cmd, COMMAND, legacy=how == "legacy")], tmp_path, names=("echo",))
    (line,) = [line for line in tables()["dangerous"].splitlines() if f"| `render: {how}` | `{cmd}` |" in line]
    assert made == (["PWNED"] if "**runs it**" in line else [])
