"""The life of an exec as a table (protocol job-item.md, sections 5.3 and 9.4), and as random histories."""

from __future__ import annotations

import pytest

from execs.policy import (
    BecameReady,
    Ended,
    Event,
    Examined,
    Life,
    Ruled,
    Rules,
    Started,
    StillUnready,
    Ticked,
    step,
)
from execs.tables import LIFE_TABLE, RUNS, Act, Cue, Stage
from job_item.execspec import Exec
from tests.exec_histories import live_through


def rules(**settings: object) -> Rules:
    return Rules.of(Exec.model_validate({"key": "k", "cmd": "true", **settings}))


def live(life: Life, *events: tuple[float, Event]) -> tuple[Life, list[Act]]:
    """Let events happen at their moments, with the least of chance."""
    acts: list[Act] = []
    for now_s, event in events:
        life, more = step(life, event, now_s, 0.0)
        acts += more
    return life, acts


def one_try(life: Life, at_s: float, exit_code: int | None, lasts_s: float = 0.0) -> Life:
    begin: list[tuple[float, Event]] = [(at_s, Ticked()), (at_s, Cue.SATISFIED), (at_s, Started(7))]
    return live(life, *begin, (at_s + lasts_s, Ended(exit_code, "ended")))[0]


def test_what_keeps_an_exec_from_being_ready_is_told_until_it_is() -> None:
    begun, _ = live(Life(rules(ready={"tcp": "1"})), (0.0, Ticked()), (0.0, Cue.SATISFIED), (0.0, Started(7)))
    waiting, _ = live(begun, (1.0, StillUnready("nobody answers")))
    assert waiting.why == "not ready: nobody answers"
    assert live(waiting, (2.0, BecameReady()))[0].why == ""
    assert live(waiting, (2.0, BecameReady()), (3.0, StillUnready("late")))[0].why == ""


@pytest.mark.parametrize(
    ("restart", "exit_code", "stage"),
    [
        ("always", 0, Stage.BACKOFF),
        ("always", 1, Stage.BACKOFF),
        ("always", None, Stage.BACKOFF),
        ("on-failure", 0, Stage.DONE),
        ("on-failure", 1, Stage.BACKOFF),
        ("on-failure", None, Stage.BACKOFF),
        ("never", 0, Stage.DONE),
        ("never", 1, Stage.FAILED),
        ("never", None, Stage.FAILED),
    ],
)
def test_what_follows_an_end_is_said_by_the_policy(restart: str, exit_code: int | None, stage: Stage) -> None:
    assert one_try(Life(rules(restart=restart)), 0.0, exit_code).stage is stage


def test_an_exec_is_given_up_after_its_tries_and_the_pauses_grow() -> None:
    life = Life(rules(attempt=4, backoff=1, backoff_max=3))
    now_s, pauses = 0.0, []
    for _ in range(3):
        life = one_try(life, now_s, 1)
        assert life.stage is Stage.BACKOFF and life.due_s is not None
        pauses.append(life.due_s - now_s)
        now_s = life.due_s
    assert pauses == [1.0, 2.0, 3.0]
    assert one_try(life, now_s, 1).stage is Stage.FAILED


def test_a_stable_run_begins_a_new_row() -> None:
    life = one_try(Life(rules(attempt=2)), 0.0, 1)
    assert life.tries == 1
    life = one_try(life, 1.0, 1, lasts_s=10.0)
    assert (life.stage, life.tries, life.due_s) == (Stage.BACKOFF, 1, 11.0), "the next one follows at once"
    assert one_try(life, 20.0, 1).stage is Stage.FAILED


def test_one_that_is_always_restarted_is_given_up_when_it_flaps_but_not_when_its_runs_are_stable() -> None:
    life = Life(rules(restart="always", attempt=1))
    assert one_try(life, 0.0, 0).stage is Stage.FAILED
    for number in range(20):
        life = one_try(life, number * 100.0, 0, lasts_s=10.0)
        assert life.stage is Stage.BACKOFF


@pytest.mark.parametrize(("exit_code", "attempt"), [(0, 5), (1, 1)])
def test_the_node_stops_with_an_exec_that_is_down_for_good(exit_code: int, attempt: int) -> None:
    life = Life(rules(cascade_exit=True, attempt=attempt))
    assert live(life, (0, Cue.SATISFIED), (0, Started(7)), (1, Ended(exit_code, "")))[1] == [Act.START, Act.CASCADE]


def test_an_order_to_stop_is_no_end_for_good() -> None:
    life = Life(rules(cascade_exit=True, attempt=1))
    life, acts = live(life, (0, Cue.SATISFIED), (0, Started(7)), (1, Cue.STOP), (2, Ended(1, "")))
    assert (life.stage, acts) == (Stage.STOPPED, [Act.START, Act.END])


def test_an_unhealthy_exec_is_ended_and_that_counts_as_a_failure_however_it_ends() -> None:
    life = Life(rules(health={"tcp": "1", "failures": 2}))
    life, acts = live(
        life,
        (0, Cue.SATISFIED),
        (0, Started(7)),
        (1, Examined(False, "no")),
        (2, Examined(True)),
        (3, Examined(False, "no")),
    )
    assert (life.stage, life.health, acts) == (Stage.RUNNING, "healthy", [Act.START])
    life, acts = live(life, (4, Examined(False, "gone")))
    assert (life.stage, life.health, acts) == (Stage.FAILING, "unhealthy", [Act.END])
    life, _ = live(life, (5, Ended(0, "ended with exit code 0")))
    assert (life.stage, life.why) == (Stage.BACKOFF, "unhealthy: gone")


def test_an_exec_is_ready_when_its_probe_says_so_or_else_when_it_runs() -> None:
    plain, _ = live(Life(rules()), (0, Cue.SATISFIED), (0, Started(7)))
    assert plain.is_ready
    probed, _ = live(Life(rules(ready={"tcp": "1"})), (0, Cue.SATISFIED), (0, Started(7)))
    assert not probed.is_ready
    probed, _ = live(probed, (1, BecameReady()))
    assert probed.is_ready
    probed, _ = live(probed, (2, Ended(1, "")), (9, BecameReady()))
    assert not probed.is_ready


def running(**settings: object) -> Life:
    return live(Life(rules(**settings)), (0, Cue.SATISFIED), (0, Started(7)))[0]


def test_policy_alone_restarts_nothing_and_another_run_does() -> None:
    life, acts = live(running(), (1, Ruled(rules(attempt=9, restart="never"), is_other_run=False)))
    assert (life.stage, life.pid, acts) == (Stage.RUNNING, 7, [])
    life, acts = live(running(), (1, Ruled(rules(), is_other_run=True)))
    assert (life.stage, acts) == (Stage.TURNING, [Act.END])
    assert live(life, (2, Ended(0, "")))[0].stage is Stage.WAITING


def test_new_settings_revive_what_was_given_up_but_not_what_an_order_stopped() -> None:
    failed = one_try(Life(rules(attempt=1)), 0.0, 1)
    assert live(failed, (1, Ruled(rules(attempt=2), is_other_run=False)))[0].stage is Stage.WAITING
    stopped, _ = live(running(), (1, Cue.STOP), (2, Ended(0, "")))
    assert live(stopped, (3, Ruled(rules(), is_other_run=True)))[0].stage is Stage.STOPPED
    done = one_try(Life(rules()), 0.0, 0)
    assert live(done, (1, Ruled(rules(attempt=2), is_other_run=False)))[0].stage is Stage.DONE
    assert live(done, (1, Ruled(rules(restart="always"), is_other_run=False)))[0].stage is Stage.WAITING


def test_the_table_starts_only_what_has_no_run_and_ends_only_what_has_one() -> None:
    for (stage, _), (following, act) in LIFE_TABLE.items():
        assert (stage not in RUNS and following in RUNS) is (act is Act.START)
        assert stage in RUNS or act is not Act.END
    assert all(stage is not Stage.GONE or following is Stage.GONE for (stage, _), (following, _) in LIFE_TABLE.items())


def test_whatever_happens_the_promises_of_the_policy_hold() -> None:
    assert live_through(histories=400, steps=120, seed=1) > 800
