"""Lines of one run in a log that rolls on."""

from __future__ import annotations

from pathlib import Path

from execs.loglines import LINE_BYTES, LogLines
from job_item.keeper.rolling import RollingSpool
from job_item.keeper.spool import STDOUT


def all_of(lines: LogLines) -> list[str]:
    found, has_more = lines.read()
    while has_more:
        more, has_more = lines.read()
        found += more
    return found


def test_only_what_is_written_after_the_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ready of an earlier run\n")
    (tmp_path / "log.1").write_text("older still\n")
    lines = LogLines(str(path))
    assert all_of(lines) == [""]
    with path.open("a") as file:
        file.write("one\ntw")
    assert "one" in all_of(lines) and "tw" in all_of(lines)
    with path.open("a") as file:
        file.write("o\n")
    assert "two" in all_of(lines)


def test_lines_are_read_on_over_files_that_were_moved_aside(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    spool = RollingSpool(path, 100, 3)
    spool.write(STDOUT, memoryview(b"of an earlier run\n"))
    lines = LogLines(path)
    wanted = [f"line {number}" for number in range(30)]
    for text in wanted:
        spool.write(STDOUT, memoryview(f"{text}\n".encode()))
    spool.close()
    found = [text for text in all_of(lines) if text]
    assert found == wanted


def test_a_file_that_has_no_name_for_a_moment_is_not_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("of an earlier run\n")
    lines = LogLines(str(path))
    path.rename(tmp_path / "log.1")
    assert all_of(lines) == [""]
    path.write_text("new\n")
    assert [text for text in all_of(lines) if text] == ["new"]


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = LogLines(str(path))
    path.write_bytes(b"x" * (3 << 20))
    assert max(map(len, all_of(lines))) <= LINE_BYTES
    assert len(lines._rest) <= LINE_BYTES
