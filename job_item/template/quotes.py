"""Reads quotes, expansions, comments and here-documents: the constructs that are no code."""

from __future__ import annotations

from job_item.template.frames import CODE, Kind, is_misread
from job_item.template.reader import DEEPEST, MORE, Reader

SPECIAL = "\\$'\"`"
"""Signs that mean something wherever text is not quoted."""
NOT_HARMLESS = '}"$`\\\n'
"""What must not stand between apostrophes where one shell takes them for quotes and another does not."""
_PARAMETERS = "@*#?-$!"
_DOUBLE_LIKE = frozenset({Kind.DOUBLE, Kind.LOCALE, Kind.ARITHMETIC})
ANSI_SHELLS = ("bash", "ksh")


def is_quoted(reader: Reader) -> bool:
    """Whether an expansion that begins here stands within double quotes."""
    top = reader.stack.top
    return top.kind in _DOUBLE_LIKE or (top.kind not in CODE and top.quoted)


def is_name(char: str) -> bool:
    """Whether `char` may stand in the name of a variable."""
    return char == "_" or (char.isascii() and char.isalnum())


def read_special(reader: Reader, char: str, after: int) -> int:
    """One of the signs of SPECIAL where it has its meaning."""
    if char == "\\":
        return read_escape(reader, after)
    return read_dollar(reader, after) if char == "$" else open_quote(reader, char, after)


def read_escape(reader: Reader, after: int) -> int:
    """A backslash: the character that follows is literal, a line end is nothing."""
    char, beyond, ended = reader.unit(after)
    if not char:
        return MORE
    if ended:
        reader.stack.add_literal("\\", quoted=True)
        return after
    if char != "\n":
        reader.stack.add_literal(char, quoted=True)
    return beyond


def read_dollar(reader: Reader, after: int) -> int:
    """A dollar sign: an expansion, a quote of its own kind, or itself."""
    stack = reader.stack
    char, beyond = reader.peek(after)
    if not char:
        return MORE
    quoted = is_quoted(reader)
    if char == "(":
        return _read_substitution(reader, beyond, quoted=quoted)
    if char == "{":
        stack.add_expansion()
        stack.push(Kind.BRACE, quoted=quoted, phase="name")
        return beyond
    if char in "'\"" and not quoted:
        stack.add_quote()
        stack.push(Kind.ANSI if char == "'" else Kind.LOCALE)
        return beyond
    if char == "[":
        stack.lose("$[...] is not supported: write $((...))")
        return beyond
    if is_name(char) and not char.isdigit():
        return _read_name(reader, beyond)
    if char.isdigit() or char in _PARAMETERS:
        stack.add_expansion()
        return beyond
    if char == '"' and _reads_on(reader, beyond, _PARAMETERS + "'\"([{$"):
        return MORE
    stack.add_literal("$", quoted=False)
    return after


def _reads_on(reader: Reader, at: int, signs: str) -> bool:
    """Bash takes `"` out of "${x:-...}" before it expands that, so a variable may go on behind a quote, at `at`.

    True where that cannot be told without what follows the text.
    """
    if reader.stack.strips_quotes:
        char, _ = reader.peek(at)
        if reader.needs_more(char):
            return True
        if not char or is_name(char) or char in signs:
            reader.stack.lose('within "${...}" a quote follows a variable: write ${NAME}')
    return False


def _read_substitution(reader: Reader, at: int, *, quoted: bool) -> int:
    char, beyond = reader.peek(at)
    if reader.needs_more(char):
        return MORE
    reader.stack.add_expansion()
    if char == "(":
        reader.stack.push(Kind.ARITHMETIC, quoted=quoted)
        return beyond
    reader.stack.push(Kind.SUBSTITUTION)
    return at


def _read_name(reader: Reader, at: int) -> int:
    begin = at - 1
    while True:
        char, beyond = reader.peek(at)
        if not char:
            return MORE
        if not is_name(char):
            if char == '"' and _reads_on(reader, beyond, '"'):
                return MORE
            reader.stack.add_expansion()
            reader.stack.add_name(reader.text[begin:at])
            return at
        at = beyond


def open_quote(reader: Reader, char: str, after: int) -> int:
    """`'`, `"` or a backquote where each of them begins something."""
    if char == "`":
        reader.stack.add_expansion()
        if reader.stack.top.kind in (Kind.ARITHMETIC, Kind.SUBSCRIPT):
            reader.stack.lose("backquotes stand in arithmetic: write $(...)")
        if len(reader.levels) >= DEEPEST:
            reader.stack.lose("backquotes are nested too deeply: write $(...)")
        odd = reader.stack.is_in_quoted_brace
        reader.stack.push(Kind.BACKTICK, quoted=is_quoted(reader) and not odd, odd=odd)
        return after
    if reader.stack.top.kind not in (Kind.ARITHMETIC, Kind.SUBSCRIPT, Kind.BRACE):
        reader.stack.add_quote()
    reader.stack.push(Kind.SINGLE if char == "'" else Kind.DOUBLE)
    return after


def read_single(reader: Reader, char: str, after: int) -> int:
    """Within '...'."""
    stack = reader.stack
    if char == "'":
        stack.pop()
        return after
    if char in NOT_HARMLESS and stack.is_in_brace and is_misread(stack.frames):
        stack.lose("shells differ on '...' within ${...} within double quotes")
    stack.add_literal(char, quoted=True)
    return after


def read_double(reader: Reader, char: str, after: int) -> int:
    """Within "..."."""
    if char == '"':
        reader.stack.pop()
        return after
    if char != "'" and char in SPECIAL:
        return read_special(reader, char, after)
    reader.stack.add_literal(char, quoted=True)
    return after


def read_ansi(reader: Reader, char: str, after: int) -> int:
    """Within $'...': a shell that does not know it ends the text at the first `'`."""
    if char == "'":
        reader.stack.pop()
    elif char == "\\":
        escaped, beyond, _ = reader.unit(after)
        if not escaped:
            return MORE
        if escaped == "'" and reader.shell not in ANSI_SHELLS:
            reader.stack.lose("not every `sh` takes \\' within $'...'")
        reader.stack.add_expansion()
        return beyond
    else:
        reader.stack.add_literal(char, quoted=True)
    return after


def read_comment(reader: Reader, char: str, after: int) -> int:
    """Within a comment, up to the line end, which is left to the code around it."""
    if char == "\n":
        reader.stack.pop()
        return after - 1
    return after


def read_heredoc(reader: Reader, char: str, after: int) -> int:
    """Within the lines of the here-documents that began on the line before."""
    stack = reader.stack
    if char != "\n":
        stack.change(text=stack.top.text + char)
        return after
    first, *others = stack.top.heredocs
    line = stack.top.text.lstrip("\t") if first.strip_tabs else stack.top.text
    if line.endswith("\\") and not first.quoted:
        stack.lose("a line of a here-document ends with a backslash")
    stack.change(text="", heredocs=tuple(others) if line == first.delimiter else stack.top.heredocs)
    if not stack.top.heredocs:
        stack.pop()
    return after
