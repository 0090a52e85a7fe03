"""The open constructs while text is read, and what reading it adds to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from job_item.template.commands import NO_COMMAND
from job_item.template.frames import CODE, NO_WORD, Frame, Kind, State, Want, Word

_ARITHMETIC = frozenset({Kind.ARITHMETIC, Kind.SUBSCRIPT})
_QUOTES = frozenset({Kind.SINGLE, Kind.DOUBLE, Kind.LOCALE, Kind.ANSI})
_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:\[\])?\+?=")


@dataclass(slots=True)
class Findings:
    """What is found out about tags only after they were read, over all ways through the template."""

    always: set[int] = field(default_factory=set)
    """Tags that are quoted even if nothing in their value needs it."""
    integers: set[int] = field(default_factory=set)
    """Tags whose value is evaluated as arithmetic."""
    rewrites: dict[int, str] = field(default_factory=dict)
    """Characters of the author's text, by their offset, that are written in another way which means the same."""
    evaluated: list[str] = field(default_factory=list)
    """Text of arithmetic: the shell evaluates the values of the variables that it names."""
    arrays: bool = False
    """The text has arrays: `declare` would evaluate a value that looks like one."""
    integer_variables: bool = False
    """The text has variables of type integer: an assignment evaluates its value."""

    def evaluate(self, text: str) -> None:
        """Note text of arithmetic."""
        self.evaluated.append(text)

    @property
    def evaluated_variables(self) -> frozenset[str]:
        """The names of all variables whose values arithmetic evaluates."""
        return frozenset(_NAME.findall("".join(self.evaluated)))


class Stack:
    """A state that can be changed while text is read."""

    def __init__(self, state: State, findings: Findings) -> None:
        self.frames = list(state.frames)
        self.lost = state.lost
        self.findings = findings

    def state(self, pending: str) -> State:
        """What has become of it."""
        return State(tuple(self.frames), pending, self.lost)

    @property
    def top(self) -> Frame:
        """The innermost construct."""
        return self.frames[-1]

    def change(self, **fields: Any) -> None:
        """Change the innermost construct."""
        self.frames[-1] = replace(self.frames[-1], **fields)

    def push(self, kind: Kind, *, quoted: bool = False, odd: bool = False, phase: str = "") -> None:
        """Open a construct."""
        self.frames.append(Frame(kind, quoted=quoted, odd=odd, phase=phase))

    def pop(self) -> None:
        """Close the innermost construct."""
        self.frames.pop()

    def lose(self, reason: str) -> None:
        """Give up: no tag may come after this place."""
        self.lost = self.lost or reason

    def _code(self) -> int:
        return next(at for at in range(len(self.frames) - 1, -1, -1) if self.frames[at].kind in CODE)

    @property
    def is_odd(self) -> bool:
        """Whether backquotes are open within "${...}"."""
        return any(frame.odd for frame in self.frames)

    @property
    def within_word(self) -> list[Frame]:
        """What is open within the word that is being read."""
        return self.frames[self._code() + 1 :]

    @property
    def is_in_quoted_brace(self) -> bool:
        """Whether "${...}" is open within the word."""
        return any(frame.kind is Kind.BRACE and frame.quoted for frame in self.within_word)

    @property
    def strips_quotes(self) -> bool:
        """Whether "${x:-...}" is open within the word, from which bash strips the inner quotes first."""
        return any(frame.kind is Kind.BRACE and frame.quoted and frame.phase == "default" for frame in self.within_word)

    @property
    def is_evaluated(self) -> bool:
        """Whether what is read is arithmetic."""
        return any(frame.kind in _ARITHMETIC or frame.phase == "offset" for frame in self.within_word)

    def add_name(self, name: str) -> None:
        """Note a variable that a word of a test names."""
        at = self._code()
        frame = self.frames[at]
        if frame.kind is Kind.TEST:
            self.frames[at] = replace(frame, word=replace(frame.word, names=f"{frame.word.names} {name}"))

    @property
    def is_in_brace(self) -> bool:
        """Whether ${...} is open within the word."""
        return any(frame.kind is Kind.BRACE for frame in self.within_word)

    @property
    def _is_within_word(self) -> bool:
        """Whether what is read belongs to the word itself, not to a subscript or expansion within it."""
        return all(frame.kind in _QUOTES for frame in self.within_word)

    def _set_word(self, **fields: Any) -> None:
        if not self._is_within_word:
            return
        at = self._code()
        self.frames[at] = replace(self.frames[at], word=replace(self.frames[at].word, started=True, **fields))

    @property
    def word(self) -> Word:
        """The word that is being read, also from within its quotes."""
        return self.frames[self._code()].word

    def add_literal(self, char: str, *, quoted: bool) -> None:
        """Add one character to the word."""
        word = self.word
        text = word.text if word.dynamic else word.text + char
        if quoted:
            self._set_word(text=text, quoted=True, tail="", last_tag=None)
            return
        touchy = word.touchy or char in "{[~"
        tail = (word.tail + char)[-2:]
        if word.braced and word.last_tag is not None and tail == "..":
            self.findings.integers.add(word.last_tag)
        last_tag = word.last_tag if tail in (".", "..") else None
        self._set_word(text=text, touchy=touchy, tail=tail, braced=word.braced or char == "{", last_tag=last_tag)
        if char == "=" and not word.assigned and not word.dynamic:
            self._assign(text)
        elif char == "~":
            self.findings.always |= word.tags

    def _assign(self, text: str) -> None:
        frame = self.frames[self._code()]
        found = _ASSIGNMENT.fullmatch(text)
        if found and not frame.word.quoted and (frame.want is Want.COMMAND or frame.command.is_declaring):
            self._set_word(assigned=found[1])

    def add_quote(self) -> None:
        """Note that the word has quotes."""
        self._set_word(quoted=True, tail="", last_tag=None)

    def add_expansion(self) -> None:
        """Note that the word goes on with an expansion."""
        self._set_word(dynamic=True, tail="", last_tag=None)

    def add_tag(self, tag: int) -> None:
        """Note that the word goes on with a tag, in this and in every construct around it."""
        subscript = any(frame.kind is Kind.SUBSCRIPT for frame in self.within_word)
        bare = self.frames[-1].kind in CODE
        for at in range(len(self.frames)):
            frame = self.frames[at]
            if frame.kind in CODE:
                word = replace(frame.word, started=True, tags=frame.word.tags | {tag}, tail="")
                word = replace(word, dynamic=word.dynamic or not subscript, last_tag=tag if bare else None)
                self.frames[at] = replace(frame, word=word)

    def mark_tags(self) -> None:
        """Have the tags of the word quoted always: what follows would make more of a number or name."""
        self.findings.always |= self.word.tags

    def end_command(self, want: Want = Want.COMMAND) -> None:
        """Begin afresh after an operator."""
        self.change(want=want, command=NO_COMMAND, word=NO_WORD)
