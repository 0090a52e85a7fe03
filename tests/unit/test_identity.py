"""Who a node is, and that it stays so."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.identity import keep_identity, resolve_identity
from job_item.load import Loaded
from job_item.settings import Settings


def loaded_with(identity: str | None, state_dir: Path) -> Loaded:
    settings = Settings(identity_id=identity)
    return Loaded(settings, state_dir / "config.yaml", work_dir=state_dir, state_dir=state_dir)


@pytest.mark.parametrize(
    ("environ", "configured", "expected"),
    [
        ({"WORKER_ID": "high", "JOB_ITEM_IDENTITY_ID": "low"}, "mid", "high"),
        ({"JOB_ITEM_IDENTITY_ID": "low"}, "mid", "mid"),
        ({"JOB_ITEM_IDENTITY_ID": "low"}, None, "low"),
        ({"WORKER_ID": ""}, "mid", "mid"),
    ],
)
def test_a_given_identity_is_taken_and_nothing_is_kept(
    tmp_path: Path, environ: dict[str, str], configured: str | None, expected: str
) -> None:
    assert resolve_identity(loaded_with(configured, tmp_path), environ) == expected
    assert not (tmp_path / "identity").exists()


def test_an_identity_is_made_once_and_kept_for_the_owner_only(tmp_path: Path) -> None:
    made = resolve_identity(loaded_with(None, tmp_path), {})
    assert uuid.UUID(made).version == 7
    assert resolve_identity(loaded_with(None, tmp_path), {}) == made
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["identity"]


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text("\n")
    assert uuid.UUID(keep_identity(tmp_path)).version == 7


@pytest.mark.parametrize("content", [b"\xff\xfe", b"two words", b"x" * 200, b"a\nb"])
def test_a_file_with_something_else_in_it_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "identity").write_bytes(content)
    with pytest.raises(NodeError, match="cannot be kept") as refused:
        keep_identity(tmp_path)
    assert refused.value.code == "ERR-HST-002"
    assert (tmp_path / "identity").read_bytes() == content


def test_a_state_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError) as refused:
        keep_identity(tmp_path / "none")
    assert refused.value.code == "ERR-HST-002"
