"""What is shared, by task: bounds, expiry and the end of tasks, with a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import BadMessage, Unavailable
from worker.journal import Share
from worker.shelves import LINGER_S, NODE_BYTES, NODE_ENTRIES, TASK_BYTES, TASK_ENTRIES, Shelves, size_of


def lay(shelves: Shelves, share: Share, now_s: float = 0.0, rest_s: float | None = None) -> float:
    assert shelves.refusal(share) is None
    shelves.reserve(share)
    return shelves.put(share, now_s, rest_s)


def test_texts_come_in_the_order_of_their_addition_and_by_key() -> None:
    shelves = Shelves()
    for number, (task_id, key) in enumerate([("T1", "a"), ("T1", "b"), ("T2", "a"), ("T1", "a")]):
        lay(shelves, Share(number, task_id, key, f"text {number}"))
    assert shelves.texts("T1", "a", 0) == ["text 0", "text 3"]
    assert shelves.texts("T2", "a", 0) == ["text 2"]
    assert shelves.texts("T2", "b", 0) == []
    assert shelves.texts("T3", "a", 0) == []


def test_what_has_expired_is_not_seen_even_before_it_is_taken_away() -> None:
    shelves = Shelves()
    assert lay(shelves, Share(1, "T1", "k", "short"), 10.0, 5.0) == 15.0
    assert lay(shelves, Share(2, "T1", "k", "stays"), 10.0) == 10.0 + LINGER_S
    assert shelves.texts("T1", "k", 14.9) == ["short", "stays"]
    assert shelves.texts("T1", "k", 15.0) == ["stays"]
    assert shelves.expire(14.9) == []
    assert shelves.expire(15.0) == [1]
    assert shelves.expire(15.0) == []


def test_a_task_is_bounded_in_bytes_and_entries_and_takes_again_what_has_made_room() -> None:
    shelves = Shelves()
    half = "é" * (TASK_BYTES // 4 - 1)
    for number in range(2):
        lay(shelves, Share(number, "T1", "k", half), 0.0, 1.0)
    refusal = shelves.refusal(Share(3, "T1", "k", "xxxxx"))
    assert isinstance(refusal, BadMessage)
    assert refusal.code == "ERR-JOB-010"
    assert shelves.refusal(Share(3, "T2", "k", "xxxxx")) is None
    assert shelves.expire(1.0) == [0, 1]
    for number in range(TASK_ENTRIES):
        lay(shelves, Share(number, "T1", "k", "x"))
    assert isinstance(shelves.refusal(Share(-1, "T1", "k", "x")), BadMessage)


def test_all_tasks_together_are_bounded() -> None:
    shelves = Shelves()
    for number in range(NODE_BYTES // TASK_BYTES):
        lay(shelves, Share(number, f"T{number}", "k", "x" * (TASK_BYTES - 1)))
    refusal = shelves.refusal(Share(-1, "new", "k", "x"))
    assert isinstance(refusal, Unavailable)
    assert refusal.code == "ERR-JOB-011"
    many = Shelves()
    for number in range(NODE_ENTRIES):
        lay(many, Share(number, f"T{number}", "k", "x"))
    assert isinstance(many.refusal(Share(-1, "new", "k", "x")), Unavailable)


def test_the_data_of_a_task_go_when_it_was_over_at_two_looks_without_an_addition_between() -> None:
    shelves = Shelves()
    lay(shelves, Share(1, "T1", "k", "x"))
    assert shelves.due(LINGER_S - 1) == []
    assert shelves.due(LINGER_S) == ["T1"]
    assert shelves.see("T1", False, LINGER_S) == []
    assert shelves.due(LINGER_S) == []
    assert shelves.see("T1", True, 2 * LINGER_S) == []
    lay(shelves, Share(2, "T1", "k", "y"), 2.5 * LINGER_S)
    assert shelves.see("T1", True, 3 * LINGER_S) == []
    assert shelves.next_s() == 4 * LINGER_S
    assert shelves.see("T1", True, 4 * LINGER_S) == [1, 2]
    assert shelves.next_s() is None
    assert shelves.texts("T1", "k", 4 * LINGER_S) == []


Steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "fail", "wait", "look"]),
        st.sampled_from(["T1", "T2", "T3"]),
        st.none() | st.floats(0, 3 * LINGER_S),
        st.floats(0, LINGER_S),
    ),
    max_size=60,
)


@given(Steps)
def test_over_any_history_nothing_is_lost_counted_twice_or_left(
    steps: list[tuple[str, str, float | None, float]],
) -> None:
    shelves, now_s, here = Shelves(), 0.0, dict[int, tuple[Share, float | None]]()
    gone: list[int] = []
    for number, (what, task_id, rest_s, wait_s) in enumerate(steps):
        share = Share(number, task_id, "k", "x" * (number + 1))
        if what == "add":
            lay(shelves, share, now_s, rest_s)
            here[number] = (share, None if rest_s is None else now_s + rest_s)
        elif what == "fail":
            shelves.reserve(share)
            shelves.reserve(share, -1)
        else:
            now_s += wait_s
            gone += shelves.expire(now_s)
            for due in shelves.due(now_s) if what == "look" else ():
                gone += shelves.see(due, due == "T1", now_s)
        here = {key: kept for key, kept in here.items() if key not in gone}
        for name in ("T1", "T2", "T3"):
            seen = [
                kept.data for kept, end_s in here.values() if kept.task_id == name and (end_s is None or end_s > now_s)
            ]
            assert shelves.texts(name, "k", now_s) == seen
        assert shelves._size_bytes == sum(size_of(kept) for kept, _ in here.values())
    assert len(gone) == len(set(gone))
