"""What is kept of an input, whatever its size and however it comes."""

from __future__ import annotations

import errno
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.capture import MEMORY_BYTES, TAIL_BYTES, Capture

GAP = b"\n[%d bytes are left out here]\n"


def filled(limit: int, data: bytes, chunk: int) -> Capture:
    kept = Capture(limit)
    for start in range(0, len(data), chunk):
        kept.add(data[start : start + chunk])
    return kept


@given(st.integers(0, 4 * TAIL_BYTES), st.integers(0, 6 * TAIL_BYTES), st.sampled_from([777, 8192, 65536, 1 << 20]))
def test_the_beginning_and_the_end_are_kept_and_the_gap_is_marked(limit: int, size: int, chunk: int) -> None:
    data = bytes(range(251)) * (size // 251) + b"end"
    kept = filled(limit, data, chunk)
    most = max(limit, TAIL_BYTES)
    assert kept.size_bytes == len(data)
    if len(data) <= most:
        assert b"".join(kept.read()) == data
    else:
        head, dropped = most - TAIL_BYTES, len(data) - most
        assert kept.dropped_bytes == dropped
        assert b"".join(kept.read()) == data[:head] + GAP % dropped + data[-TAIL_BYTES:]


def test_a_large_beginning_goes_to_a_file_and_can_be_read_again_and_again() -> None:
    data = bytes(range(256)) * 20_000
    kept = filled(16 << 20, data, 65536)
    assert len(data) > 4 * MEMORY_BYTES
    assert b"".join(kept.read()) == data == b"".join(kept.read())
    kept.close()


class FullDisk:
    """A file that takes so many writes."""

    def __init__(self, file: IO[bytes], writes: int) -> None:
        self._file = file
        self._left = writes

    def write(self, data: bytes) -> int:
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_on_a_full_disk_the_beginning_ends_and_the_end_is_still_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` of what is tested closes it
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullDisk(file, 3))
    data = bytes(range(256)) * 20_000
    kept = filled(16 << 20, data, 65536)
    assert kept.failure is not None
    assert kept.failure.errno == errno.ENOSPC
    head = MEMORY_BYTES + 3 * 65536
    assert b"".join(kept.read()) == data[:head] + GAP % (len(data) - head - TAIL_BYTES) + data[-TAIL_BYTES:]
    kept.close()
