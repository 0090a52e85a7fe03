"""What the API shows of records."""

from __future__ import annotations

import pytest

from job_item.job import AttemptRecord, JobRecord, Status, Usage
from worker.api.show import duration, moment, show_failure, show_job
from worker.desk import Note


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1735787045.678, "2025-01-02T03:04:05.678Z"),
        (1735787045.9999, "2025-01-02T03:04:06.000Z"),
        (1735787045.001, "2025-01-02T03:04:05.001Z"),
    ],
)
def test_moments_are_utc_with_milliseconds(at: float, text: str) -> None:
    assert moment(at) == text


def test_a_duration_is_never_negative_and_open_until_the_end() -> None:
    assert duration(1.0, 2.5) == 1.5
    assert duration(2.0, 1.0) == 0.0
    assert duration(1.0, None) is None
    assert duration(None, None) is None


def test_a_failure_carries_the_remedy_of_the_register() -> None:
    shown = show_failure("ERR-RUN-001", "It ended with exit code 3.")
    assert shown is not None
    assert shown.message == "It ended with exit code 3."
    assert shown.remedy
    assert show_failure(None, None) is None


def test_names_that_no_encoding_can_carry_are_shown_all_the_same() -> None:
    usage = Usage(processes=("7 b\udcffd: exit 0",))
    attempt = AttemptRecord(1, 1, "i", 1.0, 2.0, Status.ERROR, 3, None, "ERR-RUN-001", "no \udcff", usage)
    record = JobRecord("T1", "hello", Status.ERROR, 1, 0.5, 1.0, 2.0, 3, "ERR-RUN-001", "no \udcff", (attempt,))
    shown = show_job(record, 5, [Note(1, 1.5, "half")])
    text = shown.model_dump_json()
    assert "7 b?d: exit 0" in text
    assert '"duration_s":1.0' in text
