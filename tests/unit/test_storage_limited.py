"""A storage that holds so many files and no more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.handlers.clients import storage_of
from job_item.handlers.context import Facts
from job_item.storage import open_storage
from job_item.storage.limited import LimitedStorage
from worker.reefguide.variables import FILES_MAX


def limited(folder: Path, limit: int = 3) -> LimitedStorage:
    return LimitedStorage(open_storage(str(folder)), limit)


def refused(storage: LimitedStorage, name: str) -> bool:
    try:
        storage.write(name, b"")
    except NodeError as error:
        assert error.code == "ERR-STG-012"
        return True
    return False


def test_one_file_too_many_is_refused_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    storage = limited(tmp_path / "store")
    assert [refused(storage, f"n{number}") for number in range(4)] == [False, False, False, True]
    (tmp_path / "big").write_bytes(b"x")
    with pytest.raises(NodeError, match="one file too many"):
        storage.upload(tmp_path / "big")
    assert sorted(stored.name for stored in storage.list()) == ["n0", "n1", "n2"]


def test_a_file_in_place_of_another_and_one_after_a_deletion_are_taken(tmp_path: Path) -> None:
    storage = limited(tmp_path)
    assert not any(refused(storage, name) for name in ("a", "b", "c", "a", "b"))
    assert refused(storage, "d")
    storage.delete("b")
    assert (refused(storage, "d"), refused(storage, "b")) == (False, True)


def test_what_earlier_attempts_stored_counts(tmp_path: Path) -> None:
    before = limited(tmp_path)
    assert not any(refused(before, name) for name in ("a", "sub/b"))
    again = limited(tmp_path)
    assert [refused(again, name) for name in ("sub/b", "c", "d")] == [False, False, True]


def test_a_file_that_could_not_be_stored_takes_no_place(tmp_path: Path) -> None:
    storage = limited(tmp_path / "store", 1)
    with pytest.raises(NodeError, match="missing"):
        storage.upload(tmp_path / "missing")
    with pytest.raises(NodeError, match="leads out"):
        storage.write("../out", b"")
    assert not refused(storage, "a")


def test_threads_share_the_limit(tmp_path: Path) -> None:
    storage = limited(tmp_path, 10)
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda number: refused(storage, f"n{number}"), range(40))) == 30


def test_a_handler_of_the_api_gets_such_a_storage_and_others_do_not(tmp_path: Path) -> None:
    uri = tmp_path.as_uri()
    assert isinstance(storage_of(Facts(storage_uri=uri, files_max=FILES_MAX)), LimitedStorage)
    assert not isinstance(storage_of(Facts(storage_uri=uri)), LimitedStorage)
