"""Random lives of one exec on a fake clock, each step held against what the policy promises."""

from __future__ import annotations

import random
from dataclasses import replace

from execs.policy import JITTER, BecameReady, Ended, Event, Examined, Life, Ruled, Rules, Started, Ticked, step
from execs.tables import Act, Cue, Stage
from job_item.policy import Backoff
from job_item.probespec import HealthProbe, ReadyProbe

READY = ReadyProbe(tcp="1")
HEALTHS = (None, HealthProbe(tcp="1", failures=1), HealthProbe(tcp="1", failures=3))


def random_rules(chance: random.Random) -> Rules:
    return Rules(
        restart=chance.choice(["always", "on-failure", "never"]),
        attempts=chance.choice([1, 2, 3, 8]),
        pauses=Backoff(chance.choice([0.0, 0.5, 1.0]), 2.0, chance.choice([0.3, 4.0, 60.0]), JITTER),
        stable_s=chance.choice([1.0, 5.0, 10.0]),
        cascades=chance.random() < 0.5,
        ready=chance.choice([None, READY]),
        health=chance.choice(HEALTHS),
    )


class World:
    """What really is: the run, the clock, what was ordered. `live` drives a life through it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now_s = 1000.0
        self.life = Life(random_rules(self.chance))
        self.has_run = self.was_asked_to_end = False
        self.started_s: float | None = None
        self.was_stable = self.has_been_stable = False
        """Whether the run that has ended was stable; whether the one that there is has become so."""
        self.may_start = True
        self.is_closed = False
        self.row = 0
        self.limit = self.life.rules.attempts
        self.pause_s = 0.0
        self.not_before_s = 0.0
        self.starts = 0

    def live(self, steps: int) -> int:
        """Go through `steps` random events; returns how often the exec was started."""
        for _ in range(steps):
            self.now_s += self.chance.choice([0.0, 0.01, 0.6, 3.0, 30.0])
            if self.chance.random() < 0.3:
                self.now_s = max(self.now_s, (self.life.next_deadline_s() or 0.0) - self.chance.choice([0.0, 0.5]))
            self.meet(self.event())
        return self.starts

    def event(self) -> Event:
        chance = self.chance
        orders: tuple[Event, ...] = (Cue.START, Cue.STOP, Cue.RESTART)
        usual: list[Event] = [Ticked(), Ticked(), Cue.SATISFIED, Cue.SATISFIED, BecameReady()]
        usual += [Examined(chance.random() < 0.4, "no"), Examined(False, "no")]
        if self.has_run:
            usual += [Ended(chance.choice([0, 1, 1, None]), "ended")] * 3
            if self.started_s is None:
                usual += [Started(chance.randint(1, 9))] * 4
        rare = chance.random()
        if rare < 0.06:
            return chance.choice(orders)
        if rare < 0.09:
            return Ruled(random_rules(chance), is_other_run=chance.random() < 0.5)
        if rare < 0.095:
            return chance.choice([Cue.CLOSE, Cue.RELEASE])
        return chance.choice(usual)

    def meet(self, event: Event) -> None:
        before = self.life
        self.note(event)
        self.life, acts = step(before, event, self.now_s, self.chance.random())
        self.check_row(before, event)
        if self.life.stage is Stage.BACKOFF and before.stage is not Stage.BACKOFF:
            self.check_pause()
        for act in acts:
            match act:
                case Act.START:
                    self.check_start()
                case Act.END:
                    assert self.has_run
                    self.was_asked_to_end = True
                case Act.CASCADE:
                    assert self.life.rules.cascades
                    assert self.life.stage in (Stage.DONE, Stage.FAILED)
                    assert isinstance(event, Ended), "only an end can be for good"
        assert self.life.has_run is self.has_run
        assert (self.life.pid is not None) is (self.has_run and self.started_s is not None)

    def note(self, event: Event) -> None:
        """Keep the truth of an event apart from what the policy makes of it."""
        match event:
            case Started():
                self.started_s = self.now_s
            case Ticked() if self.is_stable():
                self.has_been_stable = True
            case Ended():
                self.was_stable, self.has_been_stable = self.has_been_stable or self.is_stable(), False
                if self.was_stable:
                    self.begin_row()
                self.has_run, self.started_s, self.was_asked_to_end = False, None, False
            case Cue.STOP if self.life.takes(Cue.STOP):
                self.may_start = False
            case Cue.START | Cue.RESTART if self.life.takes(event):
                self.may_start = True
                self.begin_row()
            case Ruled():
                if event.is_other_run or self.life.stage in (Stage.FAILED, Stage.DONE):
                    self.begin_row()
                self.limit = max(self.limit, event.rules.attempts)
                if event.rules.pauses != self.life.rules.pauses:
                    self.pause_s = 0.0
            case Cue.CLOSE:
                self.is_closed = True

    def is_stable(self) -> bool:
        return self.started_s is not None and self.now_s >= self.started_s + self.life.rules.stable_s

    def begin_row(self) -> None:
        self.row, self.limit, self.pause_s, self.not_before_s = 0, self.life.rules.attempts, 0.0, 0.0

    def check_start(self) -> None:
        assert not self.has_run, "the old run has not ended"
        assert not self.is_closed, "nothing starts in a room that drains"
        assert self.may_start, "nothing starts after a stop"
        assert self.now_s >= self.not_before_s, "nothing starts within its pause"
        self.row += 1
        self.starts += 1
        self.has_run = True
        assert self.row <= self.limit, "no more tries in a row than allowed"

    def check_row(self, before: Life, event: Event) -> None:
        """The count goes down after a stable time, by an order and by new settings, and by nothing else."""
        if self.life.tries < before.tries:
            was_stable = self.was_stable if isinstance(event, Ended) else self.is_stable()
            assert was_stable or event in (Cue.START, Cue.STOP, Cue.RESTART) or isinstance(event, Ruled)
            if isinstance(event, Ticked):
                self.begin_row()
                self.row = 1

    def check_pause(self) -> None:
        rules, tries = self.life.rules, self.life.tries
        pause_s = (self.life.due_s or 0.0) - self.now_s
        if self.was_stable:
            assert pause_s == 0.0
            return
        full_s = replace(rules.pauses, jitter=0.0).delay_s(tries, 0.0)
        assert full_s * (1 - JITTER) - 1e-6 <= pause_s <= full_s + 1e-6
        assert pause_s <= rules.pauses.cap_s + 1e-6
        assert pause_s >= self.pause_s - 1e-6, "pauses never get shorter within a row"
        self.pause_s, self.not_before_s = pause_s, self.now_s + pause_s - 1e-6


def live_through(histories: int, steps: int, seed: int) -> int:
    """Many random lives; returns how many starts there were in all."""
    return sum(World(seed + number).live(steps) for number in range(histories))
