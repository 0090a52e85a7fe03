"""A raster: numbers on a grid of square cells in degrees, kept as an ESRI ASCII grid.

`python raster.py FOLDER` makes the small one of this example.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAD = ("ncols", "nrows", "xllcorner", "yllcorner", "cellsize")
WIDTH, HEIGHT, CELL = 60, 40, 0.0005
WEST, SOUTH = 145.40, -14.70
REEFS = ((15.0, 12.0, 9.0), (40.0, 25.0, 12.0), (52.0, 6.0, 5.0))
"""Where reefs are in the raster that is made: column, row, and how far they reach, in cells."""


@dataclass(frozen=True)
class Raster:
    """Rows of cells from the south; `west` and `south` are the corner, `cell` is the length of a side, in degrees."""

    west: float
    south: float
    cell: float
    rows: tuple[tuple[float, ...], ...]

    def cells(self) -> Iterator[tuple[int, int, float]]:
        """Column, row and value of each cell."""
        for y, row in enumerate(self.rows):
            for x, value in enumerate(row):
                yield x, y, value

    def place(self, x: int, y: int) -> tuple[float, float]:
        """Longitude and latitude of a corner of the grid."""
        return round(self.west + x * self.cell, 7), round(self.south + y * self.cell, 7)

    def metres(self) -> tuple[float, float]:
        """How wide and how high a cell is."""
        degree = 111_320.0
        return self.cell * degree * math.cos(math.radians(self.south)), self.cell * degree


def read(path: Path) -> Raster:
    """Read an ASCII grid. Raises OSError or ValueError."""
    lines = path.read_text().splitlines()
    head = {name.lower(): float(value) for name, value in (line.split() for line in lines[: len(HEAD)])}
    if tuple(head) != HEAD:
        raise ValueError(f"{path.name} does not begin with {', '.join(HEAD)}")
    rows = tuple(tuple(map(float, line.split())) for line in reversed(lines[len(HEAD) :]))
    return Raster(head["xllcorner"], head["yllcorner"], head["cellsize"], rows)


def write(raster: Raster, path: Path) -> None:
    """Write an ASCII grid, its northernmost row first."""
    values = (len(raster.rows[0]), len(raster.rows), raster.west, raster.south, raster.cell)
    head = [f"{name} {value}" for name, value in zip(HEAD, values, strict=True)]
    path.write_text("\n".join([*head, *(" ".join(f"{value:.1f}" for value in row) for row in reversed(raster.rows))]))


def make() -> Raster:
    """The raster of this example: how suitable each cell is, from 0 to 100."""
    return Raster(WEST, SOUTH, CELL, tuple(tuple(_suitability(x, y) for x in range(WIDTH)) for y in range(HEIGHT)))


def _suitability(x: int, y: int) -> float:
    """Rings around the middle of each reef, a lagoon in it."""
    best = 0.0
    for middle_x, middle_y, reach in REEFS:
        distance = math.hypot(x - middle_x, y - middle_y) / reach
        best = max(best, 100 * math.exp(-((distance - 0.6) ** 2) / 0.05))
    return round(best, 1)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(make(), folder / "lizard.asc")
