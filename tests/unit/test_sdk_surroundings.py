"""What the environment of a job says."""

from __future__ import annotations

import pytest

from job_item.errors import NodeError
from job_item.sdk.surroundings import notification_url, result_url, shared_url, upload_url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8080/msg/notif/T1", "http://127.0.0.1:8080/msg/notif/T1"),
        ("http://127.0.0.1:8080/msg/notif", "http://127.0.0.1:8080/msg/notif/T1"),
        ("http://127.0.0.1:8080/msg/notif/", "http://127.0.0.1:8080/msg/notif/T1"),
        ("http://127.0.0.1:8080/msg/notif/T1/", "http://127.0.0.1:8080/msg/notif/T1"),
        ("http://h/t/tok/msg/notif", "http://h/t/tok/msg/notif/T1"),
        ("https://h/msg/notif/T10?x=1", "https://h/msg/notif/T10/T1?x=1"),
        (" http://[::1]:1/n ", "http://[::1]:1/n/T1"),
    ],
)
def test_a_whole_address_is_taken_and_a_beginning_completed(given: str, url: str) -> None:
    assert notification_url({"JOB_ITEM_TASK_ID": "T1", "JOB_ITEM_MSG_NOTIF_HOST": given}) == url


@pytest.mark.parametrize("given", ["localhost:8080", "ftp://h/x", "http://", "http://[::1/x", "/msg/notif", "//h/x"])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(NodeError) as caught:
        notification_url({"JOB_ITEM_TASK_ID": "T1", "JOB_ITEM_MSG_NOTIF_HOST": given})
    assert caught.value.code == "ERR-REP-002"


@pytest.mark.parametrize("of", [upload_url, result_url])
def test_the_bare_path_of_local_mode_means_that_there_is_no_job_manager(of: object) -> None:
    paths = {"JOB_MANAGER_UPLOAD_FILE": "/api/file/T1", "JOB_MANAGER_RESULT_URL": "/api/result/T1"}
    assert callable(of)
    with pytest.raises(NodeError, match="There is no Job Manager") as caught:
        of(paths)
    assert caught.value.code == "ERR-REP-002"


def test_the_pattern_of_the_share_store_is_filled_in() -> None:
    known = {"JOB_ITEM_TASK_ID": "T1", "JOB_ITEM_SHARE_DATA_GET": "http://h:1/msg/share/data/:task_id/:key"}
    assert shared_url(known, "K") == "http://h:1/msg/share/data/T1/K"
    assert shared_url({"JOB_ITEM_TASK_ID": "T1"}, "K") is None
    assert shared_url({"JOB_ITEM_SHARE_DATA_GET": "http://h/:task_id/:key"}, "K") is None
