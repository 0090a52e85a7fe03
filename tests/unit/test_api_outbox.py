"""The routes on which scripts leave results and files for the Job Manager."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.desks import MemoryDesk, Served, serve


class Leaves:
    """Remembers what was left (`worker.desk.Outgoing`)."""

    def __init__(self) -> None:
        self.results: list[bytes] = []
        self.files: list[tuple[str, int, int]] = []

    def waiting(self, task_id: str) -> int:
        return len(self.results) + len(self.files)

    async def leave_result(self, task_id: str, body: bytes) -> bool:
        self.results.append(body)
        return task_id == "T1"

    async def leave_file(self, task_id: str, name: str, size_bytes: int, chunks: AsyncIterator[bytes]) -> bool:
        came = 0
        async for chunk in chunks:
            came += len(chunk)
        self.files.append((name, size_bytes, came))
        return task_id == "T1"


@pytest.fixture
def leaves() -> Leaves:
    return Leaves()


def served_with(leaves: Leaves | None) -> MemoryDesk:
    desk = MemoryDesk()
    desk.leaves = leaves
    return desk


def raw(served: Served, path: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers])
    return served.exchange(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)


def test_a_result_is_left_as_it_came(leaves: Leaves) -> None:
    with serve(served_with(leaves)) as served:
        body = b'{"status": "completed", "rows": "' + b"x" * (3 << 20) + b'"}'
        assert b" 200 " in raw(served, "/msg/outbox/result/T1", body).split(b"\r\n")[0]
        assert leaves.results == [body], "larger than other bodies may be"
        assert b'{"waiting":1}' in served.exchange(
            b"GET /msg/outbox/T1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/msg/outbox/result/T1", b"[]", b"400"),
        ("/msg/outbox/result/T1", b"no json", b"400"),
        ("/msg/outbox/result/T1", b'"' + b"x" * (8 << 20) + b'"', b"413"),
        ("/msg/outbox/result/T2", b"{}", b"404"),
        ("/msg/outbox/file/T1", b"data", b"400"),
        ("/msg/notif/T1", b'{"msg": "' + b"x" * (2 << 20) + b'"}', b"413"),
    ],
)
def test_what_cannot_be_left_is_refused(leaves: Leaves, path: str, body: bytes, status: bytes) -> None:
    with serve(served_with(leaves)) as served:
        assert raw(served, path, body).split()[1] == status


def test_a_file_comes_in_pieces_under_its_own_name(leaves: Leaves) -> None:
    with serve(served_with(leaves), token="secret") as served:
        data = b"x" * (20 << 20)
        answer = raw(served, "/t/secret/msg/outbox/file/T1", data, "X-File-Name: %C3%BCbung%201.csv")
        assert answer.split()[1] == b"200", answer[:500]
        assert leaves.files == [("übung 1.csv", len(data), len(data))]


def test_without_a_job_manager_there_is_nobody_to_leave_it_for() -> None:
    with serve(served_with(None)) as served:
        answer = raw(served, "/msg/outbox/result/T1", b"{}")
        assert answer.split()[1] == b"409"
        assert b"ERR-OUT-001" in answer
