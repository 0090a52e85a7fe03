"""Loading handlers: what is refused, each with its code and one sentence. Each load is a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.handlers.boot import boot_of
from job_item.handlers.inspection import examine
from job_item.handlers.mark import handler
from job_item.handlers.roster import Cast, Roster, Trouble

HEAD = "from __future__ import annotations\nimport job_item\nfrom job_item import HandlerContext\n"
MARK = HEAD + "@job_item.handler('X')\n"
GOOD = HEAD + "@job_item.handler('GOOD')\ndef good(given: dict) -> None: ...\n"


def look(folder: Path, text: str, *wanted: str, limit_s: float = 120.0) -> tuple[Cast, list[Trouble]]:
    (folder / "acts.py").write_text(text)
    roster = Roster(str(folder), ("acts.py",), wanted)
    cast, troubles = examine(roster, dict(os.environ), limit_s)
    return cast, list(troubles)


def test_a_good_file_gives_its_types_and_its_digest(tmp_path: Path) -> None:
    cast, troubles = look(tmp_path, GOOD, "GOOD", "TEST", "acts:good")
    assert (cast.types, cast.files, troubles) == (("GOOD",), (str(tmp_path / "acts.py"),), [])
    assert look(tmp_path, GOOD + "# edited\n")[0].digest != cast.digest


def test_no_handlers_start_no_process() -> None:
    assert examine(Roster(), {}) == (Cast(), ())


def test_a_library_that_is_not_there_is_to_be_installed_for_the_python_of_the_node(tmp_path: Path) -> None:
    (trouble,) = look(tmp_path, "import no_such_module_at_all")[1]
    assert f"{sys.executable} -m pip install" in (trouble.remedy or "")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    troubles = examine(Roster(str(tmp_path), ("none.py",)), dict(os.environ))[1]
    assert [trouble.message for trouble in troubles] == [f"There is no file {tmp_path}/none.py."]


# fmt: off
WRONG = {
    "it raises": ("raise ValueError('no')", "ERR-HND-001", "cannot be loaded: ValueError: no (acts.py, line 1)."),
    "it ends the process politely": ("import sys; sys.exit(3)", "ERR-HND-001", "SystemExit: 3"),
    "it is no Python": ("def (", "ERR-HND-001", "SyntaxError"),
    "it imports what is not there": ("import no_such_module_at_all", "ERR-HND-001", "No module named"),
    "two functions for one type": (
        GOOD + GOOD.removeprefix(HEAD).replace("def good", "def other"), "ERR-HND-002", "acts:good and acts:other",
    ),
    "two of one name for one type": (GOOD + GOOD.removeprefix(HEAD), "ERR-HND-002", "acts:good and acts:good"),
    "no hint for the input": (MARK + "def x(given) -> None: ...", "ERR-HND-003", "`given` of acts:x"),
    "no hint for the output": (MARK + "def x(given: dict): ...", "ERR-HND-003", "what it returns"),
    "a hint that means nothing": (MARK + "def x(given: Nothing) -> None: ...", "ERR-HND-003", "Nothing"),
    "a type that pydantic does not know": (
        MARK.replace("@", "class Own: ...\n@") + "def x(given: Own) -> None: ...", "ERR-HND-005", "acts:x",
    ),
    "no parameter": (MARK + "def x() -> None: ...", "ERR-HND-007", "no par"),
    "only a context": (MARK + "def x(context: HandlerContext) -> None: ...", "ERR-HND-007", "no par"),
    "a third parameter": (MARK + "def x(a: dict, b: dict) -> None: ...", "ERR-HND-007", "`b`"),
    "a class without run": (MARK + "class X: ...", "ERR-HND-007", "method `run`"),
    "an impossible type": (HEAD + "@job_item.handler('a b')\ndef x(a: dict) -> None: ...", "ERR-HND-007", "'a b'"),
    "the process is gone": ("import os; os._exit(4)", "ERR-HND-009", "exit code 4"),
    "the process is killed": ("import os; os.kill(os.getpid(), 9)", "ERR-HND-009", "signal 9"),
}
# fmt: on


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence_with_a_code(tmp_path: Path, case: str) -> None:
    text, code, words = WRONG[case]
    _, troubles = look(tmp_path, text)
    assert [trouble.code for trouble in troubles] == [code], troubles
    assert words in troubles[0].message
    assert "\n" not in troubles[0].message


def test_names_that_nobody_serves_are_refused(tmp_path: Path) -> None:
    _, troubles = look(tmp_path, GOOD, "MISSING", "acts:missing", "no_module:f")
    assert [(trouble.code, trouble.source) for trouble in troubles] == [
        ("ERR-HND-004", "acts:missing"),
        ("ERR-HND-001", "no_module:f"),
        ("ERR-HND-004", "MISSING"),
    ]
    assert "there are: GOOD, TEST" in troubles[-1].message


def test_a_file_with_the_name_of_a_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(GOOD)
    _, troubles = examine(Roster(str(tmp_path), ("json.py",)), dict(os.environ))
    assert [trouble.code for trouble in troubles] == ["ERR-HND-008"]


def test_loading_that_never_ends_is_ended(tmp_path: Path) -> None:
    _, troubles = look(tmp_path, "while True: pass", limit_s=2.0)
    assert [trouble.code for trouble in troubles] == ["ERR-HND-009"]


def test_marks_in_modules_that_the_named_one_imports_count(tmp_path: Path) -> None:
    (tmp_path / "deeper.py").write_text(GOOD)
    assert look(tmp_path, "import deeper\n")[0].types == ("GOOD",)


def test_a_class_and_async_and_other_shapes_are_accepted(tmp_path: Path) -> None:
    text = HEAD + (
        "@job_item.handler('A')\nclass A:\n    def run(self, given: list[int], context: HandlerContext) -> int: ...\n"
        "@job_item.handler('B')\n@job_item.handler('C')\n"
        "async def b(context: HandlerContext, given: dict) -> None: ...\n"
        "@job_item.handler('D')\ndef d(given: dict, more: int = 3) -> dict[str, int]: ...\n"
    )
    cast, troubles = look(tmp_path, text)
    assert (cast.types, troubles) == (("A", "C", "B", "D"), [])


def test_a_type_has_to_be_a_name() -> None:
    with pytest.raises(NodeError) as raised:
        handler(7)  # type: ignore[arg-type]  # what an author may write
    assert raised.value.code == "ERR-HND-007"


def test_a_nursery_whose_room_has_gone_while_it_loaded_ends_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "acts.py").write_text("import sys\nsys.stdin.read()\n" + GOOD)
    boot = boot_of(Roster(str(tmp_path), ("acts.py",)), os.environ)
    ours, its = socket.socketpair()
    command = ["bash", "-c", f'exec "$@" 3<&{its.fileno()}', "bash", *boot.argv]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[its.fileno()], text=True
    ) as nursery:
        its.close()
        ours.close()
        _, said = nursery.communicate("go on", timeout=60)
    assert (said, nursery.returncode) == ("", 0)
