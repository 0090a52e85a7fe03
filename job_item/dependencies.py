"""What is wrong with `depends_on` of all execs together: something that no single entry can tell."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from job_item.execspec import Exec
from job_item.findings import Finding
from job_item.quantity import shown


def wrong_dependencies(execs: Sequence[Exec]) -> Iterator[Finding]:
    """Dependencies that are not there, that go round in a circle, or whose condition can never come true."""
    by_key = {entry.key: entry for entry in execs}
    for index, entry in enumerate(execs):
        for key, condition in entry.depends_on.items():
            path = ("execs", index, "depends_on", key)
            if key == entry.key:
                yield Finding(path, "ERR-CFG-032", f"{shown(key)} depends on itself")
            elif key not in by_key:
                near = difflib.get_close_matches(key, by_key, 1)
                meant = f"; did you mean '{near[0]}'?" if near else ""
                yield Finding(path, "ERR-CFG-031", f"there is no exec {shown(key)}{meant}")
            elif condition == "completed" and by_key[key].restart == "always":
                yield Finding(path, "ERR-CFG-033", f"{shown(key)} has `restart: always`, so it never completes")
            elif condition == "healthy" and by_key[key].health is None:
                yield Finding(path, "ERR-CFG-033", f"{shown(key)} has no `health` probe, so it is never healthy")
    for circle in _circles({entry.key: tuple(entry.depends_on) for entry in execs}):
        index = next(index for index, entry in enumerate(execs) if entry.key == circle[0])
        words = " -> ".join((*circle, circle[0]))
        yield Finding(("execs", index, "depends_on", circle[1]), "ERR-CFG-032", f"depends on itself: {words}")


def _circles(needs: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Each circle of two or more once, as the keys along it."""
    done: set[str] = set()
    for first in needs:
        trail: list[str] = []
        todo = [(first, 0)]
        while todo:
            key, place = todo.pop()
            del trail[place:]
            if key in trail:
                if trail.index(key) < len(trail) - 1:
                    yield trail[trail.index(key) :]
            elif key not in done and key in needs:
                done.add(key)
                trail.append(key)
                todo += [(other, len(trail)) for other in reversed(needs[key])]
