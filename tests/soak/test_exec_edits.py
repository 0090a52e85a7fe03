"""Random edits of execs, one upon the other: what is left is what a fresh start would give, and nothing else."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.orphans import new_mark, processes_with
from tests.rosters import Muster, mustered

ROUNDS = {"quick": 4, "night": 40}
EDITS = 50


def random_execs(chance: random.Random, mark: str) -> list[dict[str, Any]]:
    """Some of five execs, each in one of three forms, with policies at random; each may depend on earlier ones."""
    execs: list[dict[str, Any]] = [{"key": "same", "cmd": f"exec sleep {mark}9"}]
    for key in chance.sample("abcde", chance.randint(0, 5)):
        execs.append(
            {
                "key": key,
                "cmd": f"exec sleep {mark}{chance.randint(0, 2)}{ord(key)}",
                "depends_on": chance.sample([entry["key"] for entry in execs], chance.randint(0, min(2, len(execs)))),
                "restart": chance.choice(["always", "on-failure"]),
                "attempt": chance.randint(1, 4),
                "stop_grace": chance.choice([1, 2]),
            }
        )
    return execs


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_after_any_edits_the_execs_are_those_of_a_fresh_start(tier: Literal["quick", "night"], tmp_path: Path) -> None:
    for number in range(ROUNDS[tier]):
        chance, mark = random.Random(number), new_mark()
        last: list[dict[str, Any]] = []

        async def use(muster: Muster, chance: random.Random = chance, mark: str = mark) -> None:
            nonlocal last
            same = (await muster.until_state("same", "running")).pid
            for _ in range(EDITS):
                last = random_execs(chance, mark)
                muster.adopt(last)
                await asyncio.sleep(chance.choice([0, 0, 0.002, 0.02]))
            wanted = sorted(entry["cmd"].split()[-1] for entry in last)
            await muster.until(lambda: [len(processes_with(word)) for word in wanted] == [1] * len(wanted))
            await muster.until(lambda: len(processes_with(mark)) == len(wanted), "nothing else is left")
            await muster.until(lambda: set(muster.states) == {entry["key"] for entry in last})
            await muster.until(lambda: {state.state for state in muster.states.values()} == {"running"})
            assert muster.states["same"].pid == same

        mustered(tmp_path, random_execs(chance, mark), use)
        assert processes_with(mark) == []
