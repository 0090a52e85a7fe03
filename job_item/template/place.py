"""What a tag is to the shell at the place where it stands, and whether it may stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from job_item.template.commands import COMMAND_NAME, EVALUATED, NAMED, Rule
from job_item.template.frames import CODE, Frame, Kind, State, Want, is_misread

HEREDOC = "ERR-RUN-106"
ANSI = "ERR-RUN-107"
PARAMETER = "ERR-RUN-111"
ESCAPED = "ERR-RUN-112"
LOST = "ERR-RUN-114"
DESCRIPTOR = "ERR-RUN-115"
SECOND = "ERR-RUN-116"
OPTION = "ERR-RUN-117"

_REASONS = {
    HEREDOC: "the value would stand in a here-document",
    ANSI: "the value would stand within $'...' or $\"...\"",
    PARAMETER: "the value would stand within the name, the pattern or the offset of ${...}",
    ESCAPED: "the value would directly follow a backslash or a dollar sign",
    DESCRIPTOR: "the value would name the descriptor of a redirection",
    COMMAND_NAME: "the value would name a command, a function or a variable",
}
_EVALUATED_VARIABLES = frozenset("PS0 PS1 PS2 PS3 PS4 ENV BASH_ENV PROMPT_COMMAND SHELLOPTS BASHOPTS".split())
_INTEGER_VARIABLES = frozenset("RANDOM SRANDOM SECONDS OPTIND HISTCMD LINENO BASHPID EPOCHSECONDS".split())
_NEVER = {
    Want.DELIMITER: HEREDOC,
    Want.DESCRIPTOR: DESCRIPTOR,
    Want.LOOP_NAME: COMMAND_NAME,
    Want.LOOP_IN: COMMAND_NAME,
    Want.CASE_IN: COMMAND_NAME,
    Want.FUNCTION: COMMAND_NAME,
}
_NAME_BEFORE = re.compile(r"\$\w+")
_COMPOUND = frozenset({Kind.GROUP, Kind.CASE, Kind.TEST})
_TESTS = ("-eq", "-ne", "-lt", "-le", "-gt", "-ge")
_ARITHMETIC = frozenset({Kind.ARITHMETIC, Kind.SUBSCRIPT})


class Style(Enum):
    """How a value is written so that it is literal text of its word."""

    WORD = "outside of quotes"
    SINGLE = "within '...'"
    DOUBLE = 'within "..."'
    BRACE = 'within "${x:-...}"'
    INTEGER = "a decimal integer, nothing else"
    TERM = "a decimal integer that is a term of arithmetic"
    COMMENT = "within a comment"
    VERBATIM = "as it is"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tag stands."""

    style: Style
    backticks: tuple[bool, ...] = ()
    """The open backquotes that its text passes through, from the outside: whether each is within double quotes."""
    odd: bool = False
    """Stands where shells read quotes in different ways: the value is printed, see `safe`."""
    always: bool = False
    """Is quoted even if nothing in the value needs it."""
    glued: bool = False
    """Follows `$NAME` directly: the name must not go on with the value."""
    no_dash: bool = False
    """The command would take a value that begins with `-` as an option which evaluates it."""
    variable: str = ""
    """The variable that takes the value."""
    declares: bool = False
    """Is the value of a variable that declare, local, export or their like set."""
    second: str = ""
    """What a second interpreter makes of it, for the warning."""
    option: bool = False
    """May be read as an option."""

    def joined(self, other: Place) -> Place:
        """The place of a tag that can also be reached another way."""
        return Place(
            self.style,
            self.backticks,
            self.odd,
            always=self.always or other.always,
            glued=self.glued or other.glued,
            no_dash=self.no_dash or other.no_dash,
            variable=self.variable or other.variable,
            declares=self.declares or other.declares,
            second=self.second or other.second,
            option=self.option or other.option,
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a tag must not stand at a place."""

    code: str
    message: str


def judge(state: State, *, shell: str) -> Place | Refusal:
    """Say what a tag is right after what was read; `state` has been read as final."""
    if state.lost:
        return Refusal(LOST, f"the text before the value cannot be followed: {state.lost}")
    code = _refusal(state, shell)
    if isinstance(code, Refusal):
        return code
    if code:
        return Refusal(code, _REASONS[code])
    return _place(state)


def _refusal(state: State, shell: str) -> str | Refusal:
    if state.pending and not _NAME_BEFORE.fullmatch(state.pending.replace("\\\n", "")):
        return ESCAPED
    within = _within_word(state)
    kinds = {frame.kind for frame in within}
    if Kind.HEREDOC in kinds:
        return HEREDOC
    if Kind.COMMENT in kinds:
        return ""
    if kinds & {Kind.ANSI, Kind.LOCALE}:
        return ANSI
    if Kind.SUBSCRIPT not in kinds and any(each.kind is Kind.BRACE and each.phase != "default" for each in within):
        return PARAMETER
    if state.pending and kinds & _ARITHMETIC:
        return ESCAPED
    if _prints_into_arithmetic(state):
        return Refusal(EVALUATED, "arithmetic would evaluate the value that is printed into it")
    for frame, inside in zip(state.frames, (*state.frames[1:], None), strict=True):
        if frame.kind in CODE and (refusal := _refuse_in_command(frame, inside, shell)):
            return refusal
    return ""


def _prints_into_arithmetic(state: State) -> bool:
    """Whether the value comes back as text of an arithmetic expression, as in $(( $(echo {{x}}) ))."""
    code = [at for at, frame in enumerate(state.frames) if frame.kind in CODE]
    around = state.frames[max(code[:-1], default=0) : code[-1]]
    return state.frames[code[-1]].command.prints and any(frame.kind in _ARITHMETIC for frame in around)


def _within_word(state: State) -> tuple[Frame, ...]:
    """The constructs between the word of the innermost code and the tag."""
    inner = max(at for at, frame in enumerate(state.frames) if frame.kind in CODE)
    return state.frames[inner + 1 :]


def _refuse_in_command(frame: Frame, inside: Frame | None, shell: str) -> str | Refusal:
    """Judge the word of `frame` that the tag belongs to; `inside` is the next construct within it."""
    word = frame.word
    if frame.kind is Kind.ARRAY or (inside and (inside.kind in _COMPOUND or inside.phase == "command")):
        return ""
    if inside and inside.kind is Kind.ARRAY and frame.command.phase != "typed":
        return ""
    if frame.kind is Kind.TEST:
        unary = frame.text in ("-v", "-R")
        return Refusal(NAMED, f"{frame.text} takes the value as the name of a variable") if unary else ""
    if word.assigned in _EVALUATED_VARIABLES:
        return Refusal(EVALUATED, f"the shell evaluates the value of {word.assigned}")
    if frame.want in _NEVER:
        return _NEVER[frame.want]
    if frame.want is Want.COMMAND:
        in_subscript = inside is not None and inside.kind is Kind.SUBSCRIPT
        return "" if word.assigned or in_subscript else COMMAND_NAME
    if frame.want is not Want.ARGUMENT:
        return ""
    if shell == "ksh" and frame.command.rule is Rule.TEST:
        return Refusal(EVALUATED, "ksh evaluates arguments of [ as arithmetic")
    refused = frame.command.refusal(word.text)
    return Refusal(refused, _command_reason(refused, frame.command.name)) if refused else ""


def _command_reason(code: str, name: str) -> str:
    if code == EVALUATED:
        return f"{name} would evaluate the value as code"
    if code == NAMED:
        return f"{name} would take the value as the name of a variable, or as an option that does"
    return f"the value would name the command that {name} runs"


def _place(state: State) -> Place:
    frames = _within_word(state)
    code = state.frames[len(state.frames) - len(frames) - 1]
    word = code.word
    style = _style(frames)
    if style is Style.WORD and word.braced and word.tail == "..":
        style = Style.INTEGER
    if word.assigned in _INTEGER_VARIABLES and style is not Style.COMMENT:
        style = Style.INTEGER
    if code.kind is Kind.TEST and code.text in _TESTS:
        style = Style.INTEGER
    arguments = code.want is Want.ARGUMENT and code.kind is not Kind.TEST and style is not Style.COMMENT
    leads = arguments and not (word.text or word.dynamic or state.pending)
    command = code.command
    is_format = command.rule is Rule.PRINTF and command.phase == ""
    return Place(
        style,
        backticks=tuple(frame.quoted for frame in state.frames if frame.kind is Kind.BACKTICK),
        odd=is_misread(state.frames) or any(frame.odd for frame in state.frames),
        always=word.touchy or bool(frames) or code.kind is Kind.TEST or code.want in (Want.PATTERN, Want.CASE_WORD),
        glued=bool(state.pending),
        no_dash=leads and is_format and not command.ended_options,
        variable=word.assigned or (code.text if code.want is Want.LOOP_WORD else ""),
        declares=bool(word.assigned) and arguments,
        second=command.warning(word.text) if arguments else "",
        option=leads and not command.ended_options and command.phase not in ("safe", "done"),
    )


def _style(frames: tuple[Frame, ...]) -> Style:
    if not frames:
        return Style.WORD
    top = frames[-1]
    if top.kind is Kind.COMMENT:
        return Style.COMMENT
    arithmetic = [frame.kind for frame in frames if frame.kind in _ARITHMETIC]
    if arithmetic:
        return Style.INTEGER if arithmetic[-1] is Kind.SUBSCRIPT else Style.TERM
    if any(frame.kind is Kind.BRACE and frame.quoted for frame in frames):
        return Style.BRACE
    return {Kind.SINGLE: Style.SINGLE, Kind.DOUBLE: Style.DOUBLE}.get(top.kind, Style.WORD)
