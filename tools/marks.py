"""What is generated of a page stands between two marks; the rest of the page is written by hand."""

from __future__ import annotations

from collections.abc import Mapping


def put_between(text: str, pieces: Mapping[str, str]) -> str:
    """The page with each piece between the marks that bear its name."""
    for name, piece in pieces.items():
        begin, end = f"<!-- {name}: written by `make docs` -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + piece + "\n" + end + rest.partition(end)[2]
    return text
