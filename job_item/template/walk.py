"""Follows the shell's text over all ways through a template: a section may be left out, or come several times."""

from __future__ import annotations

from dataclasses import replace

from job_item.template.faults import Remark
from job_item.template.frames import START, State
from job_item.template.mustache import Node, Section, Tag, Text, is_task_id, name_of
from job_item.template.place import LOST, OPTION, SECOND, Place, Refusal, Style, judge
from job_item.template.shell import scan
from job_item.template.stack import Findings, Stack

UNBALANCED = "ERR-RUN-104"
AFTER_RAW = "ERR-RUN-105"
_MOST_WAYS = 48
_SURE_ROUNDS = 3
_END = 1 << 40
"""An offset behind every text."""
_AFTER_RAW = "after a raw value"


class Walk:
    """Places of all tags of one command text, by their offset, and what is wrong with them."""

    def __init__(self, shell: str) -> None:
        self.shell = shell
        self.findings = Findings()
        self.remarks: set[Remark] = set()
        self.raw = False
        self._places: dict[int, Place] = {}
        self._names: dict[int, str] = {}
        self._evaluated: frozenset[str] = frozenset()

    def run(self, nodes: tuple[Node, ...]) -> dict[int, Place]:
        """Walk through the whole template; the places count only where no remark is a fault."""
        for state in self._follow(nodes, frozenset({START})):
            self._scan(state, "\n", _END, final=True)
        self._evaluated = self.findings.evaluated_variables
        ids = {node.offset for node in nodes if is_task_id(node)}
        for offset, place in self._places.items():
            self._places[offset] = self._settle(offset, place)
            self._warn(offset, replace(place, option=place.option and offset not in ids))
        return self._places

    def _follow(self, nodes: tuple[Node, ...], states: frozenset[State]) -> frozenset[State]:
        for at, node in enumerate(nodes):
            if isinstance(node, Text):
                final = at + 1 < len(nodes) and isinstance(nodes[at + 1], Tag)
                states = frozenset(self._scan(state, node.text, node.offset, final=final) for state in states)
            elif isinstance(node, Tag):
                states = frozenset(
                    self._place(self._scan(state, "", node.offset, final=True), node) for state in states
                )
            else:
                states = self._section(node, states)
        return states

    def _scan(self, state: State, text: str, offset: int, *, final: bool) -> State:
        return scan(state, text, self.findings, offset=offset, shell=self.shell, final=final)

    def _section(self, section: Section, states: frozenset[State]) -> frozenset[State]:
        """All states behind a section: those before it, and those after any number of rounds."""
        seen, fresh, rounds = set(states), states, 0
        while fresh and len(seen) <= _MOST_WAYS:
            ends = self._follow(section.body, fresh)
            if not self._is_balanced(fresh, ends):
                self._fault(UNBALANCED, f"section {name_of(section)!r} does not end in the quotes it began in", section)
                return states
            rounds += 1
            if rounds > _SURE_ROUNDS:
                ends = frozenset(_blur(state) for state in ends)
            fresh = ends - seen
            seen |= fresh
        if len(seen) > _MOST_WAYS:
            self._fault(LOST, f"there are too many ways through section {name_of(section)!r}", section)
        return frozenset(list(seen)[:_MOST_WAYS])

    def _is_balanced(self, before: frozenset[State], after: frozenset[State]) -> bool:
        known = {state.quoting for state in before if not state.lost}
        return all(state.lost or state.quoting in known for state in after) and (len(known) <= 1)

    def _place(self, state: State, tag: Tag) -> State:
        if tag.raw:
            self.raw = True
            return replace(state, lost=_AFTER_RAW, pending="")
        if state.lost == _AFTER_RAW:
            self._fault(AFTER_RAW, f"{name_of(tag)} stands after a value that is inserted raw", tag)
            return state
        place = judge(state, shell=self.shell)
        if isinstance(place, Refusal):
            self._fault(place.code, f"{name_of(tag)}: {place.message}", tag)
        else:
            self._add(tag, place)
        stack = Stack(state, self.findings)
        stack.add_tag(tag.offset)
        return stack.state("")

    def _add(self, tag: Tag, place: Place) -> None:
        known = self._places.get(tag.offset, place)
        if (known.style, known.backticks, known.odd) != (place.style, place.backticks, place.odd):
            self._fault(LOST, f"{name_of(tag)} stands in different quotes, depending on a section", tag)
        self._names[tag.offset] = name_of(tag)
        self._places[tag.offset] = known.joined(place)

    def _settle(self, offset: int, place: Place) -> Place:
        """Take in what was found out about the tag by what follows it."""
        findings = self.findings
        if place.style is Style.COMMENT:
            return place
        evaluated = place.variable in self._evaluated or (place.variable and findings.integer_variables)
        if offset in findings.integers or evaluated:
            return replace(place, style=Style.INTEGER if place.style is not Style.TERM else place.style)
        if place.declares and findings.arrays:
            message = f"{self._names[offset]}: the value of a declaration is evaluated where a variable is an array"
            self.remarks.add(Remark("ERR-RUN-110", message, offset))
        return replace(place, always=place.always or offset in findings.always)

    def _warn(self, offset: int, place: Place) -> None:
        name = self._names[offset]
        if place.second:
            self.remarks.add(Remark(SECOND, f"{name}: {place.second}", offset, warning=True))
        if place.option:
            message = f"{name}: a value that begins with `-` would be read as an option"
            self.remarks.add(Remark(OPTION, message, offset, warning=True))

    def _fault(self, code: str, message: str, node: Tag | Section) -> None:
        self.remarks.add(Remark(code, message, node.offset))


def _blur(state: State) -> State:
    """Forget the text of words that a section makes longer each time."""
    frames = tuple(
        replace(frame, word=replace(frame.word, text="", tail="", dynamic=True, unsure=True))
        if frame.word.started
        else frame
        for frame in state.frames
    )
    return replace(state, frames=frames)
