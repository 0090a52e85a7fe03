"""The table of a child's life, row by row."""

from __future__ import annotations

import pytest

from supervisor.tables import CHILD_TABLE, Act, Cue, Life

# The table, written a second time as a picture in two halves: rows are lives, columns cues, `life/act` what follows,
# `-` nothing.
PICTURE = """
.           due             ready       silent       retire           dismiss
waiting     starting/spawn  -           -            -                gone/none
starting    -               ready/none  killed/kill  retiring/retire  retiring/retire
ready       -               -           killed/kill  retiring/retire  retiring/retire
retiring    -               -           killed/kill  -                -
draining    -               -           killed/kill  -                -
cancelling  -               -           killed/kill  -                -
killed      -               -           -            -                -
gone        -               -           -            -                -

.           drain           cancel             kill         died          ended
waiting     gone/none       gone/none          gone/none    -             -
starting    draining/drain  cancelling/cancel  killed/kill  waiting/none  gone/none
ready       draining/drain  cancelling/cancel  killed/kill  waiting/none  gone/none
retiring    draining/drain  cancelling/cancel  killed/kill  waiting/none  gone/none
draining    -               cancelling/cancel  killed/kill  waiting/none  gone/none
cancelling  -               -                  killed/kill  waiting/none  gone/none
killed      -               -                  -            waiting/none  gone/none
gone        -               -                  -            -             -
"""


def rows() -> list[tuple[Life, Cue, str]]:
    found = []
    for half in PICTURE.strip().split("\n\n"):
        head, *lines = half.splitlines()
        cues = [Cue(word) for word in head.split()[1:]]
        for life, *cells in map(str.split, lines):
            found += [(Life(life), cue, cell) for cue, cell in zip(cues, cells, strict=True)]
    return found


@pytest.mark.parametrize(("life", "cue", "cell"), rows())
def test_each_row_of_the_table(life: Life, cue: Cue, cell: str) -> None:
    row = CHILD_TABLE.get((life, cue))
    assert (f"{row[0]}/{row[1]}" if row else "-") == cell


def test_the_picture_shows_every_life_cue_and_act() -> None:
    assert {(life, cue) for life, cue, _ in rows()} == {(life, cue) for life in Life for cue in Cue}
    assert {act for _, act in CHILD_TABLE.values()} == set(Act)
