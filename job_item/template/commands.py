"""What well-known commands do with their arguments: which of them evaluate text, or take names, or options.

An `Arguments` follows the words of one command from left to right; it says what a tag would be at the next place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

EVALUATED = "ERR-RUN-109"
NAMED = "ERR-RUN-110"
COMMAND_NAME = "ERR-RUN-108"

SHELLS = frozenset("sh bash dash ash ksh ksh93 mksh pdksh zsh yash rbash posh fish csh tcsh".split())
_EVALUATORS = frozenset("eval trap . source alias bind complete compgen compopt fc enable".split())
_NAMERS = frozenset("read unset let mapfile readarray getopts wait".split())
_DECLARERS = frozenset("declare typeset local export readonly".split())
_PREFIXES = frozenset("command builtin exec nohup setsid".split())
_WRAPPERS = frozenset(
    "sudo doas env nice ionice timeout stdbuf chroot find docker podman kubectl nsenter unshare flock strace chrt "
    "taskset setpriv systemd-run busybox runcon time caffeinate".split()
)
_OPERAND_FIRST = frozenset("find timeout chroot flock nsenter taskset chrt docker podman kubectl busybox".split())
_REMOTE = frozenset("ssh su runuser xargs parallel watch script rsh pssh at batch crontab expect osascript".split())
_PROGRAMS = frozenset("awk gawk mawk nawk sed gsed jq yq".split())
_JQ_PAIRS = frozenset("--arg --argjson --slurpfile --rawfile".split())
_INTERPRETERS = re.compile(r"(python|pypy|perl|ruby|node|nodejs|deno|php|lua|Rscript|psql|mysql|mariadb|sqlite3)[\d.]*")
_CODE_OPTION = re.compile(r"-\w*[ceErR]|--(eval|command|execute|print|expression)|-p")
_NAME_EQUALS = re.compile(r"[A-Za-z_]\w*\+?=")


class Rule(Enum):
    """How a command reads its arguments."""

    PLAIN = "as text"
    EVALUATES = "evaluates them"
    NAMES = "takes names of variables"
    DECLARES = "sets variables"
    PREFIX = "runs the command that follows"
    WRAPPER = "runs the command that follows its options"
    REMOTE = "hands them to another interpreter"
    SHELL = "a shell"
    INTERPRETER = "an interpreter with code after an option"
    PROGRAM = "the first operand is a program"
    TEST = "test or ["
    PRINTF = "printf"


def _rule_of(name: str) -> Rule:
    rules = (
        (_EVALUATORS, Rule.EVALUATES),
        (_NAMERS, Rule.NAMES),
        (_DECLARERS, Rule.DECLARES),
        (_PREFIXES, Rule.PREFIX),
        (_WRAPPERS, Rule.WRAPPER),
        (_REMOTE, Rule.REMOTE),
        (_PROGRAMS, Rule.PROGRAM),
        (SHELLS, Rule.SHELL),
        ({"test", "["}, Rule.TEST),
        ({"printf"}, Rule.PRINTF),
    )
    found = next((rule for names, rule in rules if name in names), None)
    if found is None and _INTERPRETERS.fullmatch(name):
        found = Rule.INTERPRETER
    return found or Rule.PLAIN


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command whose arguments are read. `phase` is where in them the next word stands; empty: among the options."""

    name: str = ""
    rule: Rule = Rule.PLAIN
    phase: str = ""
    count: int = 0
    """Words so far, 0 or 1."""
    ended_options: bool = False
    """`--` has been seen."""
    last: str | None = ""
    """The word before; None where it holds a tag."""

    @property
    def is_declaring(self) -> bool:
        """Whether arguments of the form name=value set variables."""
        return self.rule is Rule.DECLARES

    @property
    def prints(self) -> bool:
        """Whether the command prints its arguments."""
        return self.name in ("echo", "printf")

    @property
    def runs_code(self) -> bool:
        """Whether the command is a program, not a part of a shell, that runs code or a command among its arguments."""
        return self.rule is Rule.SHELL or self.name in ("nohup", "setsid")

    def step(self, word: str, *, dynamic: bool = False, tagged: bool = False) -> Arguments:
        """Take one whole word; of a `dynamic` one only the literal beginning `word` is known."""
        after = _STEPS.get(self.rule, _step_plain)(self, word, dynamic)
        return replace(
            after,
            count=1,
            ended_options=after.ended_options or (word == "--" and not dynamic),
            last=None if tagged else word,
        )

    def refusal(self, begun: str) -> str:
        """The code for which a tag is refused in the next word, of which `begun` stands already; empty: it is not."""
        judge = _REFUSALS.get(self.rule)
        return judge(self, begun) if judge else ""

    def warning(self, begun: str) -> str:
        """What a second interpreter would make of a tag in the next word; empty: nothing."""
        if self.rule is Rule.REMOTE:
            return f"{self.name} hands the value to another interpreter"
        if self.rule is Rule.PROGRAM and self.phase in ("", "code"):
            return f"{self.name} reads the value as part of its program"
        if self.rule is Rule.INTERPRETER and (self.phase == "code" or _CODE_OPTION.match(begun)):
            return f"{self.name} reads the value as code"
        if self.rule is Rule.PRINTF and self.phase == "":
            return "printf reads `%` and `\\` of the value as part of its format"
        if self.rule is Rule.WRAPPER and (self.phase == "exec" or (self.phase == "" and not begun)):
            return f"{self.name} may take the value as the command to run"
        return ""


NO_COMMAND = Arguments()


def begin(word: str, *, dynamic: bool = False) -> Arguments:
    """The arguments of the command `word`; nothing is known of a dynamic one."""
    name = "" if dynamic else word.rsplit("/", 1)[-1]
    rule = _rule_of(name)
    phase = "safe" if rule is Rule.TEST else "none" if name in _OPERAND_FIRST else ""
    return Arguments(name, rule, phase)


def _step_plain(self: Arguments, _word: str, _dynamic: bool) -> Arguments:
    return self


def _step_prefix(self: Arguments, word: str, dynamic: bool) -> Arguments:
    if self.phase == "value":
        return replace(self, phase="")
    if word.startswith("-"):
        if self.name == "command" and word.strip("-p"):
            return replace(self, rule=Rule.PLAIN)
        return replace(self, phase="value" if self.name == "exec" and word.endswith("a") else "")
    return begin(word, dynamic=dynamic)


def _step_wrapper(self: Arguments, word: str, dynamic: bool) -> Arguments:
    name = word.rsplit("/", 1)[-1]
    if dynamic:
        return self
    if _rule_of(name) in (Rule.SHELL, Rule.INTERPRETER, Rule.PROGRAM, Rule.REMOTE):
        return begin(word)
    if self.name == "find":
        executes = word in ("-exec", "-execdir", "-ok", "-okdir")
        return replace(self, phase="exec" if executes else "none" if word in (";", "+") else self.phase)
    if word.startswith("-") or _NAME_EQUALS.match(word):
        return self
    return replace(self, phase="none")


def _step_remote(self: Arguments, word: str, dynamic: bool) -> Arguments:
    name = word.rsplit("/", 1)[-1]
    runs_here = self.name in ("xargs", "parallel")
    return begin(word) if runs_here and not dynamic and name in SHELLS else self


def _step_shell(self: Arguments, word: str, dynamic: bool) -> Arguments:
    """Phases: "" options, "string" options after -c, "stdin" options after -s, "value" of -o, "safe" operands."""
    if self.phase == "value":
        return replace(self, phase="")
    if self.phase == "safe" or not word.startswith(("-", "+")) or (self.ended_options and self.phase != "string"):
        return replace(self, phase="safe")
    if word == "--":
        return replace(self, phase="safe") if self.phase == "stdin" else self
    if word.startswith("--"):
        return replace(self, phase="value") if word in ("--rcfile", "--init-file") else self
    if "c" in word or dynamic:
        return replace(self, phase="string")
    if "s" in word and self.phase == "":
        return replace(self, phase="stdin")
    return replace(self, phase="value") if word[-1] in "oO" and self.phase == "" else self


def _step_interpreter(self: Arguments, word: str, _dynamic: bool) -> Arguments:
    if self.phase == "code" or (self.phase == "" and not word.startswith("-")):
        return replace(self, phase="done")
    return replace(self, phase="code") if self.phase == "" and _CODE_OPTION.fullmatch(word) else self


def _step_program(self: Arguments, word: str, _dynamic: bool) -> Arguments:
    """Phases: "" before the program, "code", "value", "pair": it or one or two other values follow, "given", "done"."""
    if self.phase == "code":
        return replace(self, phase="given")
    if self.phase in ("value", "pair"):
        return replace(self, phase="" if self.phase == "value" else "value")
    if word in _JQ_PAIRS and self.name == "jq":
        return replace(self, phase="pair")
    if word in ("-e", "-f", "--expression", "--file"):
        return replace(self, phase="code")
    if word in ("-v", "-F") and "awk" in self.name:
        return replace(self, phase="code" if self.phase == "given" else "value")
    if self.phase == "" and not word.startswith("-"):
        return replace(self, phase="done")
    return self


def _step_declare(self: Arguments, word: str, _dynamic: bool) -> Arguments:
    """Phases: "arrays" after -a or -A, "typed" after -i or -n."""
    if not word.startswith(("-", "+")):
        return self
    if set(word) & {"i", "n"}:
        return replace(self, phase="typed")
    return replace(self, phase=self.phase or "arrays") if set(word) & {"a", "A"} else self


def _step_printf(self: Arguments, word: str, _dynamic: bool) -> Arguments:
    if self.phase == "name":
        return replace(self, phase="")
    if self.phase == "" and word == "-v":
        return replace(self, phase="name")
    return self if word == "--" else replace(self, phase="done")


_STEPS = {
    Rule.PREFIX: _step_prefix,
    Rule.WRAPPER: _step_wrapper,
    Rule.REMOTE: _step_remote,
    Rule.SHELL: _step_shell,
    Rule.INTERPRETER: _step_interpreter,
    Rule.PROGRAM: _step_program,
    Rule.DECLARES: _step_declare,
    Rule.PRINTF: _step_printf,
}


def _refuse_prefix(self: Arguments, _begun: str) -> str:
    return "" if self.phase == "value" else COMMAND_NAME


def _refuse_shell(self: Arguments, begun: str) -> str:
    if self.phase == "string":
        return EVALUATED
    if self.phase in ("safe", "value"):
        return ""
    return EVALUATED if begun.startswith("-") or self.phase == "stdin" else COMMAND_NAME


def _refuse_declare(self: Arguments, begun: str) -> str:
    return NAMED if self.phase or not _NAME_EQUALS.match(begun) else ""


def _refuse_test(self: Arguments, _begun: str) -> str:
    return NAMED if self.last is None or self.last in ("-v", "-R") else ""


def _refuse_printf(self: Arguments, begun: str) -> str:
    return NAMED if self.phase == "name" or (self.phase == "" and begun.startswith("-")) else ""


_REFUSALS = {
    Rule.EVALUATES: lambda _self, _begun: EVALUATED,
    Rule.NAMES: lambda _self, _begun: NAMED,
    Rule.PREFIX: _refuse_prefix,
    Rule.SHELL: _refuse_shell,
    Rule.DECLARES: _refuse_declare,
    Rule.TEST: _refuse_test,
    Rule.PRINTF: _refuse_printf,
}
