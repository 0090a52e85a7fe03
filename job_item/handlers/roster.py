"""Which handlers a node is to load, and what came of looking at them: plain values, cheap to import."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

ENTRY_POINTS = "job_item.handlers"
"""The group in which installed distributions name modules, functions or classes."""


@dataclass(frozen=True, slots=True)
class Roster:
    """What to load. Empty: this node has no handlers, and nothing of all this is started."""

    folder: str = ""
    """Where files are looked for, and modules first: the folder of the configuration."""
    sources: tuple[str, ...] = ()
    """Modules and files."""
    wanted: tuple[str, ...] = ()
    """The names that jobs call handlers by: types, or `module:function`."""
    entry_points: bool = False
    """Whether installed distributions have some."""

    def __bool__(self) -> bool:
        return bool(self.sources or self.wanted or self.entry_points)

    def as_json(self) -> str:
        """As it goes to the process that loads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Roster:
        """As that process gets it."""
        plain = json.loads(text)
        return cls(plain["folder"], tuple(plain["sources"]), tuple(plain["wanted"]), plain["entry_points"])


class Trouble(NamedTuple):
    """Something that is wrong with a handler: a code of the register, one sentence, and whose source or name it is."""

    code: str
    message: str
    source: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """A roster that was loaded once, elsewhere, and found good.

    `digest` changes with the content of the files that handlers stand in.
    """

    roster: Roster = Roster()
    types: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    digest: str = ""
