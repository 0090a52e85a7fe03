"""Logs of execs as files: kept parts, tails over rotations, positions that outlive them."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.journals import in_loop
from worker.api.execfeed import last_lines
from worker.execlog import NOWHERE, KeptLog, Place, Tail, parse_place
from worker.lognews import LogNews

OUTPUT = [b"one\n", b"two\n", b"three\n", b"four\n", b"five\n"]


def rotate(path: Path, keep: int = 3) -> None:
    """Rotate as a spool that keeps several older files would."""
    for number in range(keep - 1, 0, -1):
        older = Path(f"{path}.{number}")
        if older.exists():
            older.replace(f"{path}.{number + 1}")
    path.replace(f"{path}.1")


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def drain(tail: Tail, limit: int = 3) -> bytes:
    return b"".join(iter(lambda: tail.read(limit), b""))


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    gc.collect()  # what other tests have left is closed now, and not meanwhile
    before = open_descriptors()
    yield tmp_path / "a.log"
    assert open_descriptors() <= before


def test_nothing_there_yet_is_an_empty_log(path: Path) -> None:
    with closing(KeptLog(path)) as kept:
        assert (kept.size(), kept.read(0, 9)) == (0, b"")
        with closing(kept.tail(0)) as tail:
            assert (tail.read(9), tail.place()) == (b"", NOWHERE)
            append(path, b"first")
            assert drain(tail) == b"first"


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_all_files_that_are_kept_are_one_log_however_many_they_are(path: Path, keep: int) -> None:
    for piece in OUTPUT:
        if path.exists():
            rotate(path, keep)
        append(path, piece)
    (path.parent / "a.log.1.idx").write_bytes(b"not output")
    (path.parent / "a.log.old").write_bytes(b"not output")
    (path.parent / "a.logs").write_bytes(b"not output")
    expected = b"".join(OUTPUT[-keep - 1 :])
    with closing(KeptLog(path)) as kept:
        assert kept.size() == len(expected)
        assert b"".join(kept.read(offset, 1) for offset in range(kept.size() + 1)) == expected
        with closing(kept.tail(0)) as tail:
            assert drain(tail) == expected
            assert not tail.has_lost


def test_what_is_kept_can_be_read_while_it_is_rotated_away(path: Path) -> None:
    append(path, b"old")
    with closing(KeptLog(path)) as kept:
        rotate(path, 1)
        append(path, b"new")
        rotate(path, 1)
        assert kept.read(0, 9) == b"old"


def test_a_link_in_the_place_of_a_log_is_not_followed(path: Path) -> None:
    (path.parent / "secret").write_text("secret")
    path.symlink_to(path.parent / "secret")
    with closing(KeptLog(path)) as kept:
        assert kept.size() == 0


def test_a_tail_reads_the_rest_of_a_file_that_was_moved_before_it_goes_on(path: Path) -> None:
    append(path, b"one ")
    with closing(KeptLog(path).tail(0)) as tail:
        assert drain(tail) == b"one "
        append(path, b"two ")
        rotate(path)
        append(path, b"three ")
        rotate(path)
        assert drain(tail) == b"two three "  # the new file is not there yet
        append(path, b"four")
        assert drain(tail) == b"four"
        assert not tail.has_lost


def test_a_tail_that_is_too_slow_says_that_something_is_lost_and_goes_on(path: Path) -> None:
    append(path, b"one ")
    with closing(KeptLog(path).tail(0)) as tail:
        assert drain(tail) == b"one "
        append(path, b"held ")
        for piece in (b"lost ", b"kept ", b"newest"):
            rotate(path, 1)
            append(path, piece)
        assert tail.read(9) == b"held "  # its file is open still
        assert not tail.has_lost
        assert drain(tail) == b"kept newest"
        assert tail.has_lost


def test_a_log_that_somebody_empties_is_read_on_from_its_new_end(path: Path) -> None:
    append(path, b"long before")
    with closing(KeptLog(path).tail(0)) as tail:
        drain(tail)
        path.write_bytes(b"")
        assert drain(tail) == b""
        append(path, b"after")
        assert drain(tail) == b"after"


def test_a_place_is_found_again_after_rotations(path: Path) -> None:
    append(path, b"one two ")
    with closing(KeptLog(path).tail(0)) as tail:
        tail.read(4)
        place = parse_place(str(tail.place()))
    assert place is not None
    rotate(path)
    append(path, b"three ")
    rotate(path)
    append(path, b"four")
    with closing(KeptLog(path).resume(place)) as tail:
        assert drain(tail) == b"two three four"
        assert not tail.has_lost


def test_a_place_whose_file_is_gone_begins_with_the_oldest_and_says_so(path: Path) -> None:
    append(path, b"one")
    with closing(KeptLog(path).tail(0)) as tail:
        drain(tail)
        place = tail.place()
    assert place is not None
    for piece in (b"two ", b"three ", b"four"):
        rotate(path, 1)
        append(path, piece)
    with closing(KeptLog(path).resume(place)) as tail:
        assert drain(tail) == b"three four"
        assert tail.has_lost


def test_whoever_came_before_the_first_byte_gets_all(path: Path) -> None:
    append(path, b"one")
    with closing(KeptLog(path).resume(NOWHERE)) as tail:
        assert drain(tail) == b"one"
        assert not tail.has_lost


def test_a_place_before_the_file_that_is_read_is_none(path: Path) -> None:
    append(path, b"12")
    with closing(KeptLog(path).tail(0)) as tail:
        tail.read(9)
        assert tail.place(2) is not None
        assert tail.place(3) is None


def test_an_inode_that_was_used_again_is_not_taken_for_the_old_file(path: Path) -> None:
    append(path, b"something else of this length")
    place = Place(path.stat().st_ino, 1234, 4)
    with closing(KeptLog(path).resume(place)) as tail:
        assert drain(tail) == b"something else of this length"
        assert tail.has_lost


@pytest.mark.parametrize("text", ["", "1", "1-2", "1-2-x", "g-2-3", "1-2-3-4", "-1-2", "1" * 17 + "-2-3"])
def test_what_is_no_place_is_refused(text: str) -> None:
    assert parse_place(text) is None


Step = tuple[str, bytes]
STEPS = st.lists(st.tuples(st.sampled_from(["write", "read", "reopen"]), st.binary(min_size=1, max_size=40)))


@settings(max_examples=150)
@given(STEPS, st.integers(min_value=1, max_value=60), st.integers(min_value=1, max_value=3))
def test_a_tail_loses_nothing_that_it_does_not_tell_of(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], limit: int, keep: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "a.log"
    written, read, has_lost = b"", b"", False
    path.touch()
    tail = KeptLog(path).tail(0)
    for act, data in [*steps, ("read", b"")]:
        if act == "write":
            if path.stat().st_size >= limit:
                rotate(path, keep)
            line = b"%d %s\n" % (len(written), data)  # no two are alike: inodes are used again
            append(path, line)
            written += line
        elif act == "reopen" and (place := tail.place()) is not None and place.offset:
            has_lost = has_lost or tail.has_lost
            tail.close()
            tail = KeptLog(path).resume(place)
        elif act == "read":
            while got := tail.read(1 + len(data)):
                if tail.has_lost:
                    tail.has_lost, has_lost, read = False, True, b""
                read += got
    tail.close()
    assert written.endswith(read)
    assert has_lost or read == written


@given(st.lists(st.sampled_from([b"", b"a", b"long line\n", b"\n", b"x" * 70_000])), st.integers(0, 8))
@settings(max_examples=60)
def test_the_last_lines_are_those_that_python_sees(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], count: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.log"
    for piece in pieces:
        if path.exists():
            rotate(path, 99)
        append(path, piece)
    whole = b"".join(pieces)
    lines = whole.splitlines(keepends=True)
    with closing(KeptLog(path)) as kept:
        assert whole[asyncio.run(last_lines(kept, count)) :] == b"".join(lines[len(lines) - min(count, len(lines)) :])


@pytest.mark.parametrize("is_portable", [False, True])
@in_loop
async def test_followers_hear_of_their_file_as_it_changes(
    path: Path, is_portable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_portable:
        monkeypatch.setenv("JOB_ITEM_PORTABLE", "1")
    news = LogNews(path.parent / "new")
    log = path.parent / "new" / path.name
    with news.follow(path.name) as first, news.follow(path.name) as second:
        log.parent.mkdir(exist_ok=True)
        for rotates in (False, False, True):
            if rotates:
                rotate(log)
            append(log, b"x")
            async with asyncio.timeout(60):
                await first.changed()
                await second.changed()
        news.publish(path.name)
        async with asyncio.timeout(60):
            await first.changed()


@in_loop
async def test_a_folder_that_is_removed_and_made_again_is_watched_again(path: Path) -> None:
    folder = path.parent / "execs"
    news = LogNews(folder)
    with news.follow("a.log") as follower:
        folder.rmdir()
        async with asyncio.timeout(60):
            await follower.changed()
        append(folder / "a.log", b"x")
        async with asyncio.timeout(60):
            await follower.changed()
