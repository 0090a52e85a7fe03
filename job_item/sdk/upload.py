"""Files of a job, sent to the Job Manager as they are read."""

from __future__ import annotations

import os

from job_item.sdk.courier import Courier, Patience
from job_item.sdk.filebody import OpenFile, Stream, Watch, form_of
from job_item.sdk.node import Node, or_leave
from job_item.sdk.receipt import Receipt, read_receipt
from job_item.sdk.surroundings import project_key, upload_url
from job_item.sdk.tus import RESUMABLE_FROM_BYTES, Begun, is_offered, send_resumable

_PATIENCE = Patience(connect_s=30.0, silence_s=600.0)
"""A server may need its time for a large file after the last byte of it has come."""


def upload(path: str | os.PathLike[str], *, watch: Watch | None = None) -> Receipt:
    """Send a file of this job to the Job Manager; gives what it answers, with the `download_url`.

    The file is never held in memory. `watch(sent_bytes, size_bytes)` is called as it goes. Time-outs are those of
    silence. When the connection breaks or the server fails, the file is sent again from its beginning; a large one
    goes on from where it broke off if the server speaks tus 1.0.0 (https://tus.io).

    Where the Job Manager cannot be had, the file is left with the node, which sends it when that is back; the receipt
    then has nothing but `is_waiting`.

    Raises `job_item.errors.NodeError`: ERR-REP-001 and -002 (JOB_MANAGER_UPLOAD_FILE or JOB_ITEM_PROJECT_KEY is missing
    or no address), ERR-REP-003 (refused), as `Unavailable` ERR-REP-004 (nobody answers), ERR-REP-006 (missing, no
    regular file, not readable), ERR-REP-007 (changed while it was sent), ERR-REP-010 (no JSON in the answer).
    """
    url, key = upload_url(os.environ), project_key(os.environ)
    courier, node, seen = Courier(_PATIENCE), Node.of(os.environ, "file"), watch or _unwatched
    with OpenFile(path) as file:

        def leave(with_node: Node) -> Receipt:
            with_node.leave_file(courier, file, seen)
            return Receipt(str(file.path), file.size_bytes, is_waiting=True)

        return or_leave(courier, node, lambda: send_file(courier, url, key, file, seen), leave)


def send_file(
    courier: Courier, url: str, key: str, file: OpenFile, watch: Watch, begun: Begun | None = None
) -> Receipt:
    """Send an open file; `begun` lets a large one go on in another process. Raises as `upload`."""
    name, bearer = str(file.path), {"Authorization": f"Bearer {key}"}
    if file.size_bytes >= RESUMABLE_FROM_BYTES and is_offered(courier, url, bearer, file.size_bytes):
        return send_resumable(courier, url, bearer, file, watch, begun)
    headers = dict(bearer)

    def make_form() -> Stream:
        form, headers["Content-Type"] = form_of(file, watch)
        return form

    answer = courier.post(url, make_form, headers, what=f"the file {name}")
    return read_receipt(answer, url, name, file.size_bytes)


def _unwatched(_sent_bytes: int, _size_bytes: int) -> None:
    return
