"""The register of codes: complete, unique, useful; every code in the source is in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_item import codes
from job_item.codes import REGISTER

ROOT = Path(codes.__file__).parent.parent
SOURCES = sorted(path for room in ("job_item", "supervisor", "worker", "execs") for path in (ROOT / room).rglob("*.py"))
AREAS = set("CFG SUP LNK BRK SRC RFG JOB RUN HND REP STO STG EXE API HST MGR OUT DLV UPD REL".split())
KNOWN_OF_OLD = {entry.was for entry in REGISTER.values()}
CODE = re.compile(r"ERR-[A-Z]{3}-\d+")
TESTS = sorted((ROOT / "tests").rglob("*.py"))

AWAITED: dict[str, str] = {}
"""Codes that nothing raises yet."""

BEYOND_TESTS = {
    **AWAITED,
    "ERR-SUP-011": "needs a process that neither the node nor the test may end",
    "ERR-SUP-023": "an order to reload that comes while the node stops: no test has met that moment yet",
}
"""Codes that no test provokes."""

LOG_METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
ERROR_METHODS = {"error", "critical", "exception"}


def test_every_entry_has_a_proper_code_a_meaning_and_a_remedy() -> None:
    for name, entry in REGISTER.items():
        assert re.fullmatch(r"ERR-[A-Z]{3}-\d{3}", name), name
        assert name.split("-")[1] in AREAS, name
        for text in (entry.meaning, entry.remedy):
            assert re.fullmatch(r"[A-Z`].{8,300}[.!]", text), (name, text)


def test_no_code_is_given_twice() -> None:
    written = re.findall(r'Code\(\s*"(ERR-[A-Z]{3}-\d{3})"', Path(codes.__file__).read_text())
    assert sorted(written) == sorted(REGISTER)


def test_no_two_codes_mean_the_same() -> None:
    meanings = [entry.meaning for entry in REGISTER.values()]
    assert sorted(set(meanings)) == sorted(meanings)


@pytest.mark.parametrize(
    ("was", "area"),
    [
        ("ERR-25230903100", "UPD"),
        ("ERR-303509T3200", "RUN"),
        ("ERR-60350903200", "SUP"),
        ("ERR-30350903208", "HST"),
    ],
)
def test_the_codes_that_users_know_are_kept_with_the_first_of_their_family(was: str, area: str) -> None:
    assert REGISTER[f"ERR-{area}-001"].was == was
    assert [entry.code for entry in REGISTER.values() if entry.was == was] == [f"ERR-{area}-001"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_in_the_source_is_in_the_register(path: Path) -> None:
    unknown = {code for code in CODE.findall(path.read_text()) if code not in REGISTER} - KNOWN_OF_OLD
    assert not unknown


def test_every_code_is_raised_somewhere_or_awaited_with_a_reason() -> None:
    raised = {code for path in SOURCES if path.name != "codes.py" for code in CODE.findall(path.read_text())}
    assert set(REGISTER) - raised == set(AWAITED)


def test_every_code_is_named_by_a_test_or_left_out_with_a_reason() -> None:
    here = Path(__file__)
    named = {code for path in TESTS if path != here for code in CODE.findall(path.read_text())}
    assert set(REGISTER) - named == set(BEYOND_TESTS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_log_event_is_dotted_and_every_error_has_a_code(path: Path) -> None:
    for call in log_calls(ast.parse(path.read_text())):
        place, event = f"{path}:{call.lineno}", call.args[0]
        # An event that comes from a table is that table's own test.
        if isinstance(event, ast.Constant):
            assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", str(event.value)), f"{place}: {event.value!r}"
        if isinstance(call.func, ast.Attribute) and call.func.attr in ERROR_METHODS:
            given = {keyword.arg for keyword in call.keywords}
            assert given & {"code", None}, f"{place}: an error without a code"


def log_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls such as `self._logger.info("child.spawned", ...)` and `log.get("worker").info(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS:
            owner = ast.unparse(node.func.value)
            if re.search(r"\b_?log(ger)?$|^log\.get\(.*\)$", owner) and node.args:
                yield node
