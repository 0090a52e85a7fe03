"""What the scanner of shell text knows at one place: a stack of frames, one for each construct that is open there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from job_item.template.commands import NO_COMMAND, Arguments


class Kind(Enum):
    """Constructs of the shell's language that nest."""

    TOP = "the command text"
    SUBSTITUTION = "$(...) or <(...)"
    GROUP = "(...)"
    BACKTICK = "`...`"
    CASE = "case ... esac"
    ARRAY = "name=(...)"
    TEST = "[[ ... ]]"
    GLOB = "@(...)"
    SINGLE = "'...'"
    DOUBLE = '"..."'
    ANSI = "$'...'"
    LOCALE = '$"..."'
    BRACE = "${...}"
    ARITHMETIC = "$((...))"
    SUBSCRIPT = "name[...]"
    COMMENT = "# ..."
    HEREDOC = "<<..."


CODE = frozenset({Kind.TOP, Kind.SUBSTITUTION, Kind.GROUP, Kind.BACKTICK, Kind.CASE, Kind.ARRAY, Kind.TEST})
"""Frames that hold words."""


class Want(Enum):
    """What the next word of a frame of code is."""

    COMMAND = "a command name, a reserved word or an assignment"
    ARGUMENT = "an argument"
    REDIRECTION = "the file of a redirection"
    DESCRIPTOR = "the descriptor that a redirection copies"
    DELIMITER = "the delimiter of a here-document"
    LOOP_NAME = "the variable of a loop"
    LOOP_IN = "`in` or `do`"
    LOOP_WORD = "a word that a loop goes through"
    CASE_WORD = "the word of a case"
    CASE_IN = "`in`"
    PATTERN = "a pattern of a case"
    FUNCTION = "the name of a function"


@dataclass(frozen=True, slots=True)
class Word:
    """A word that is being read. `text` is its literal beginning, quotes removed, up to the first expansion or tag."""

    text: str = ""
    started: bool = False
    quoted: bool = False
    dynamic: bool = False
    """Has an expansion or a tag, so that `text` is a beginning only."""
    unsure: bool = False
    """A section repeats text in the middle of it: nothing is known of it."""
    touchy: bool = False
    """Has an unquoted `{`, `[` or `~`, which could make more of the characters that follow."""
    braced: bool = False
    tail: str = ""
    """The last unquoted literal characters."""
    assigned: str = ""
    """The variable whose value this word sets."""
    tags: frozenset[int] = frozenset()
    names: str = ""
    """TEST: variables that the word names."""
    last_tag: int | None = None
    """The tag that `tail` follows."""


NO_WORD = Word()


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document whose body begins on the next line."""

    delimiter: str
    quoted: bool
    strip_tabs: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One open construct."""

    kind: Kind
    quoted: bool = False
    """Stands within double quotes (frames of code begin afresh, but `"` within backticks is read otherwise)."""
    odd: bool = False
    """BACKTICK: stands within "${...}", where shells differ on `\\"`."""
    want: Want = Want.COMMAND
    back: Want = Want.COMMAND
    """What is wanted once the word of a redirection has been read."""
    word: Word = NO_WORD
    command: Arguments = NO_COMMAND
    heredocs: tuple[Heredoc, ...] = ()
    strip_tabs: bool = False
    depth: int = 0
    """Open parentheses or brackets within."""
    text: str = ""
    """BRACE: what was read of the parameter; HEREDOC: the line; TEST: the operator before; else the loop's variable."""
    phase: str = ""
    """BRACE: name, default, offset or other; ARITHMETIC: command where it is `((`."""
    glued: bool = False
    """TEST: an operator has just been read, `#` begins no comment."""
    prior: Word = NO_WORD
    """TEST: the word before."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the scanner is. `pending` was read but means nothing before the next character; `lost` is set where the
    shells differ or the scanner cannot follow: no tag may come after it."""

    frames: tuple[Frame, ...] = (Frame(Kind.TOP),)
    pending: str = ""
    lost: str = ""

    @property
    def quoting(self) -> tuple[object, ...]:
        """What must be the same where a section begins and where it ends."""
        return (self.pending in ("\\", "$"), *((frame.kind, frame.phase, frame.depth) for frame in self.frames))


START = State()


def is_misread(frames: Sequence[Frame]) -> bool:
    """Whether a ${...} is open in a substitution within double quotes: bash as `sh` takes `'` there as it is."""
    in_double = False
    for frame in frames:
        if frame.kind is Kind.BRACE and in_double and not frame.quoted:
            return True
        if frame.kind is Kind.BACKTICK:
            in_double = False
        elif frame.kind in (Kind.DOUBLE, Kind.LOCALE, Kind.ARITHMETIC) or frame.quoted:
            in_double = True
    return False
