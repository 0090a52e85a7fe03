"""The rules of the house (docs/architecture.md): who may import whom, and what a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("job_item", "supervisor", "worker", "execs")

ARROWS = {
    "job_item": {"job_item"},
    "supervisor": {"supervisor", "job_item"},
    "worker": {"worker", "job_item"},
    "execs": {"execs", "job_item"},
}
"""Which rooms a room may import from."""

LONGEST_FILE = 400
"""Lines; a file that gets near it is usually two nouns."""

# fmt: off
FOREIGN_MODULES = {
    "childutils", "compat", "confecho", "datatypes", "dispatchers", "events", "http", "http_client", "loggers",
    "medusa", "options", "pidproxy", "poller", "process", "rpcinterface", "scripts", "skel", "socket_manager", "states",
    "supervisorctl", "supervisord", "templating", "ui", "web", "xmlrpc",
}
# fmt: on
"""Modules of the other published distribution whose import name is `supervisor` too."""

FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names of all modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; name the room"
            yield node.module or ""


def wrong_arrows(room: str, source: str) -> list[str]:
    """The imports of a file that leave its room where they may not."""
    allowed = ARROWS[room]
    return [name for name in imports(ast.parse(source)) if (top := name.split(".")[0]) in ROOMS and top not in allowed]


def is_to_be_filled(value: ast.expr | None) -> bool:
    """Whether a value is an empty container: nobody makes one at module level but to change it later."""
    match value:
        case ast.List(elts=[]) | ast.Dict(keys=[]):
            return True
        case ast.Call(func=ast.Name(id=kind), args=[]):
            return kind in ("list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict")
        case ast.Call(func=ast.Name(id="defaultdict" | "ContextVar")):
            return True
    return False


def module_state(source: str) -> list[str]:
    """The names of a module that change while the program runs: empty containers at its top, and `global` names."""
    tree = ast.parse(source)
    names = [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_to_be_filled(node.value):
            names += [ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)]
    return names


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_whom_it_may(path: Path) -> None:
    assert wrong_arrows(path.relative_to(ROOT).parts[0], path.read_text()) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_module_holds_mutable_state(path: Path) -> None:
    assert module_state(path.read_text()) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_in_its_docstring_what_it_is(room: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))


def test_the_package_supervisor_is_a_docstring_only() -> None:
    body = ast.parse((ROOT / "supervisor" / "__init__.py").read_text()).body
    assert [type(node) for node in body] == [ast.Expr]


def test_no_module_of_supervisor_bears_a_name_of_the_other_distribution() -> None:
    ours = {path.stem for path in (ROOT / "supervisor").iterdir()}
    assert ours & FOREIGN_MODULES == set()


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("worker", "import execs.app"),
        ("worker", "from supervisor import cli"),
        ("execs", "def f():\n    from worker.desk import Desk"),
        ("supervisor", "if TYPE_CHECKING:\n    import worker.app"),
        ("job_item", "import worker"),
    ],
)
def test_a_wrong_arrow_is_found_wherever_it_stands(room: str, source: str) -> None:
    assert wrong_arrows(room, source)


def test_right_arrows_and_foreign_libraries_are_allowed() -> None:
    source = "import asyncio, supervisor.cli\nfrom job_item import job\nENTRY = 'worker.app:main'"
    assert wrong_arrows("supervisor", source) == []


def test_module_state_is_found_and_a_table_is_none() -> None:
    source = "CACHE = {}\nseen: list[int] = []\nTABLE = {'a': 1}\n\ndef f():\n    global count\n    count = []"
    assert module_state(source) == ["count", "CACHE", "seen"]
