"""Reads characters as the innermost construct sees them: backquotes take one level of backslashes away."""

from __future__ import annotations

from job_item.template.frames import Kind
from job_item.template.safe import through_backticks
from job_item.template.stack import Stack

MORE = -1
"""What a handler returns when it needs to see the text that follows."""
DEEPEST = 8
_SHOWN = ('"', "$")
"""What bash takes for quotes of its own in backquotes within double quotes, when it looks for braces to expand."""


class Reader:
    """The text of one run between tags, and a stack of what is open."""

    def __init__(self, stack: Stack, pending: str, text: str, *, offset: int, shell: str, final: bool) -> None:
        self.stack = stack
        self.text = pending + text
        self._known = len(pending)
        self._offset = offset - len(pending)
        self.shell = shell
        self.final = final
        """Whether a tag follows the text, so that nothing in it can be continued."""

    @property
    def levels(self) -> tuple[bool, ...]:
        """For each open backquote, from the outside, whether it stands within double quotes."""
        return tuple(frame.quoted for frame in self.stack.frames if frame.kind is Kind.BACKTICK)

    def unit(self, at: int) -> tuple[str, int, int]:
        """The character at `at`, where the next one begins, and the backquote level that ends here (0: none).

        The character is empty at the end of the text, or where it cannot be told without what follows.
        """
        levels = self.levels
        unit = self._unit(at, levels)
        if unit[0] in _SHOWN and unit[1] == at + 1 and at >= self._known and True in levels:
            self.stack.findings.rewrites[self._offset + at] = through_backticks(unit[0], levels)
        return unit

    def _unit(self, at: int, levels: tuple[bool, ...]) -> tuple[str, int, int]:
        if not levels or len(levels) > DEEPEST:
            return self.text[at : at + 1], at + 1, 0
        char, after, ended = self._unit(at, levels[:-1])
        if ended or not char:
            return char, after, ended
        if char == "`":
            return char, after, len(levels)
        if char == "\\":
            escaped, beyond, ended = self._unit(after, levels[:-1])
            if not escaped:
                return "", after, 0
            if not ended and escaped in ('$`\\"' if levels[-1] else "$`\\"):
                return escaped, beyond, 0
            if escaped == '"' and self.stack.is_odd:
                self.stack.lose('shells differ on \\" in backquotes within "${...}": write $(...)')
        return char, after, 0

    def peek(self, at: int) -> tuple[str, int]:
        """The next character that counts, and where the one after it begins; a continued line counts as one."""
        char, after, ended = self.unit(at)
        while char == "\\" and not ended:
            newline, beyond, ended = self.unit(after)
            if newline != "\n" or ended:
                return (char, after) if newline else ("", at)
            char, after, ended = self.unit(beyond)
        return ("`", after) if ended else (char, after)

    def needs_more(self, char: str) -> bool:
        """Whether the text ends where `char` was looked for, and may be continued."""
        return not char and not self.final
