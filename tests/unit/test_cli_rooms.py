from __future__ import annotations

from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.rooms import ROOMS, check_rooms, judge_rooms

STREET = Path("/street")
TOGETHER: dict[str, Path | None] = {room: STREET / room / "__init__.py" for room in ROOMS}


def test_rooms_side_by_side_are_accepted() -> None:
    judge_rooms(TOGETHER)


def test_the_rooms_of_this_checkout_belong_together() -> None:
    check_rooms()


@pytest.mark.parametrize("room", ["supervisor", "worker", "execs"])
@pytest.mark.parametrize(
    "place", [None, Path("/elsewhere/worker.py"), Path("/street/worker.py"), Path("/elsewhere/worker/__init__.py")]
)
def test_a_room_from_elsewhere_is_refused_by_name(room: str, place: Path | None) -> None:
    with pytest.raises(NodeError, match=rf"{room} \({place or 'not found'}\)") as caught:
        judge_rooms(TOGETHER | {room: place})
    assert caught.value.code == "ERR-SUP-053"
    assert str(STREET) in caught.value.message


def test_a_foreign_package_first_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "execs.py").write_text("raise SystemExit('a foreign module must not even be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "execs", raising=False)
    with pytest.raises(NodeError, match=str(tmp_path)):
        check_rooms()
