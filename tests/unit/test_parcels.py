"""Files that wait for the Job Manager: bounded, private, whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from job_item.errors import BadMessage, NodeError, Unavailable
from tests.journals import accept, journal_in
from worker.journal import Saying
from worker.outbox import Outbox
from worker.outgoing import Outgoing
from worker.parcels import Parcels
from worker.post import Post


def left(parcels: Parcels, name: str = "a.csv", data: bytes = b"data") -> str:
    with parcels.begin(name, len(data), 1 << 20) as parcel:
        parcel.write(data)
        parcel.seal()
    return parcel.number


def test_a_parcel_keeps_its_name_and_is_for_this_user_only(tmp_path: Path) -> None:
    parcels = Parcels(tmp_path / "parcels")
    path = parcels.path(left(parcels, "C:\\temp\\übung.csv"))
    assert (path.name, path.read_bytes()) == ("übung.csv", b"data")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "x" * 256, "a\0b"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadMessage) as refused:
        Parcels(tmp_path).begin(name, 1, 1 << 20)
    assert refused.value.code == "ERR-OUT-002"
    assert list(tmp_path.iterdir()) == []


def test_all_together_take_no_more_than_they_may(tmp_path: Path) -> None:
    parcels = Parcels(tmp_path)
    number = left(parcels, data=b"x" * 60)
    with pytest.raises(Unavailable) as refused:
        parcels.begin("b", 50, 100)
    assert refused.value.code == "ERR-OUT-003"
    parcels.drop(number)
    with parcels.begin("b", 50, 100):
        pass
    assert parcels.size_bytes == 0, "what was not sealed is taken away"


def test_a_disk_that_takes_nothing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    parcels = Parcels(tmp_path)
    with pytest.raises(Unavailable) as refused, parcels.begin("b", 50, 100) as parcel:
        monkeypatch.setattr(os, "write", full)
        parcel.write(b"x")
    assert refused.value.code == "ERR-OUT-004"
    assert (list(tmp_path.iterdir()), parcels.size_bytes) == ([], 0)


def test_at_the_start_what_nobody_waits_for_goes_and_the_rest_counts(tmp_path: Path) -> None:
    parcels = Parcels(tmp_path)
    first, second = left(parcels), left(parcels, data=b"more")
    for number in (first, second):
        parcels.remember(number, "http://somewhere")
    after = Parcels(tmp_path)
    after.keep([second])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [second, f"{second}.location"]
    assert (after.size_bytes, after.location(second)) == (4, "http://somewhere")


def test_what_comes_short_or_too_long_or_for_nobody_is_not_kept(tmp_path: Path) -> None:
    async def chunks(*data: bytes) -> AsyncIterator[bytes]:
        for one in data:
            yield one

    async def play() -> None:
        async with journal_in(tmp_path) as journal:
            await accept(journal, "T1")
            parcels = Parcels(tmp_path / "parcels")
            outbox: Outbox = _NoOutbox()  # type: ignore[assignment]  # only told that there is more
            outgoing = Outgoing(journal, outbox, parcels, lambda: 1000, is_synced=False)
            assert not await outgoing.leave_file("T2", "a", 4, chunks(b"data"))
            assert not await outgoing.leave_result("T2", b"{}")
            assert not await outgoing.leave_file("T1", "a", 5, chunks(b"data"))
            with pytest.raises(Unavailable):
                await outgoing.leave_file("T1", "a", 3, chunks(b"da", b"ta"))
            assert (outgoing.waiting("T1"), parcels.size_bytes) == (0, 0)
            assert await outgoing.leave_file("T1", "a", 4, chunks(b"da", b"ta"))
            assert outgoing.waiting("T1") == 1
            assert list(journal.parcels()) == [path.name for path in (tmp_path / "parcels").iterdir()]

    asyncio.run(play())


class _NoOutbox:
    def grow(self) -> None:
        return


def test_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    async def play() -> None:
        post = Post("http://127.0.0.1:9", "key", Parcels(tmp_path))
        with pytest.raises(NodeError) as gone:
            await post.send(Saying(1, "T1", "file", b"nowhere", 0.0))
        assert gone.value.code == "ERR-OUT-005"

    asyncio.run(play())
