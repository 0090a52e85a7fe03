"""From cells of a grid to areas, and from an area to its outline."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

Cell = tuple[int, int]
Ring = list[Cell]
"""Corners of the grid; the first is the last too. Counter-clockwise around an area, clockwise around a hole in it."""


def areas(cells: set[Cell]) -> Iterator[set[Cell]]:
    """Part cells into areas: those that share a side belong together."""
    left = set(cells)
    while left:
        area, edge = set(), [left.pop()]
        while edge:
            x, y = edge.pop()
            area.add((x, y))
            for neighbour in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if neighbour in left:
                    left.remove(neighbour)
                    edge.append(neighbour)
        yield area


def rings(area: set[Cell]) -> list[Ring]:
    """The outline of an area: its outer ring, and then one for each hole."""
    ways: dict[Cell, list[Cell]] = defaultdict(list)
    for x, y in area:
        for neighbour, start, end in (
            ((x, y - 1), (x, y), (x + 1, y)),
            ((x + 1, y), (x + 1, y), (x + 1, y + 1)),
            ((x, y + 1), (x + 1, y + 1), (x, y + 1)),
            ((x - 1, y), (x, y + 1), (x, y)),
        ):
            if neighbour not in area:
                ways[start].append(end)
    found = []
    while ways:
        found.append(_straightened(_follow(ways)))
    return sorted(found, key=size, reverse=True)


def size(ring: Ring) -> float:
    """How many cells a ring encloses; less than nothing for a hole."""
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise(ring)) / 2


def _follow(ways: dict[Cell, list[Cell]]) -> Ring:
    """Take one ring out of `ways`. Where two cells meet at a corner only, turn right: so no ring touches itself."""
    first = next(iter(ways))
    ring = [first]
    direction = (0, 0)
    while True:
        here = ring[-1]
        right = (here[0] + direction[1], here[1] - direction[0])
        after = right if right in ways[here] else ways[here][0]
        ways[here].remove(after)
        if not ways[here]:
            del ways[here]
        direction = (after[0] - here[0], after[1] - here[1])
        ring.append(after)
        if after == first:
            return ring


def _straightened(ring: Ring) -> Ring:
    """Leave out corners at which the ring goes straight on."""
    ways = [(end_x - x, end_y - y) for (x, y), (end_x, end_y) in pairwise(ring)]
    kept = [corner for corner, before, after in zip(ring, ways[-1:] + ways, ways, strict=False) if before != after]
    return [*kept, kept[0]]
