"""Fill in the tables of docs/templates.md: what the node really makes of a value in each place of a command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from job_item.codes import REGISTER
from job_item.template import TemplateError, compile_command
from tools.marks import put_between

PAGE = Path(__file__).resolve().parent.parent / "docs" / "templates.md"

VALUE = 'it\'s "$(touch PWNED)" *'
"""What the tables insert."""
COMMAND = "$(touch PWNED)"
"""What the table of dangerous ways inserts."""

CONTEXTS = (
    ("a word", "echo {{v}}"),
    ("a part of a word", "echo out/{{v}}.txt"),
    ("within `'...'`", "echo 'say {{v}}'"),
    ('within `"..."`', 'echo "say {{v}}"'),
    ("within `$(...)`", 'echo "$(echo {{v}})"'),
    ("within backquotes", 'echo "`echo {{v}}`"'),
    ("the default of `${x:-...}`", 'echo "${x:-{{v}}}"'),
    ("the value of a variable", 'x={{v}}; echo "$x"'),
    ("a list of `for`", 'for x in {{v}} end; do echo "$x"; done'),
    ("`case`, its word and its pattern", "case {{v}} in {{v}}) echo yes;; esac"),
    ("`[ ... ]`", '[ "{{v}}" = {{v}} ] && echo yes'),
    ("`[[ ... ]]`, no pattern either", "[[ {{v}} == {{v}} ]] && echo yes"),
    ("an element of an array", 'a=({{v}} end); echo "${a[@]}"'),
    ("`<<<`", 'echo "$(cat <<< {{v}})"'),
    ("an argument of a function", 'f() { echo "$1"; }; f {{v}}'),
    ("a comment", "echo yes # {{v}}"),
)

INTEGERS = (
    ("arithmetic", "echo $(( 10 - {{n}} ))"),
    ("a subscript", "a[{{n}}]=x; echo ${a[3]}"),
    ("`{a..b}`", "echo {1..{{n}}}"),
    ("a comparison of numbers", "[[ {{n}} -gt 2 ]] && echo yes"),
    ("a variable that arithmetic uses later", "n={{n}}; echo $((n + 1))"),
)

REFUSED = (
    ("cat <<END\n{{v}}\nEND", "printf '%s\\n' {{v}} | cat"),
    ("{{v}} --all", "case {{v}} in on | off) echo {{v}};; esac"),
    ('eval "echo {{v}}"', "echo {{v}}"),
    ("bash -c 'echo {{v}}'", "bash -c 'echo \"$1\"' bash {{v}}"),
    ("trap 'rm {{v}}' EXIT", "x={{v}}; trap 'rm -- \"$x\"' EXIT"),
    ("export {{v}}", "export NAME={{v}}"),
    ("[ -v {{v}} ]", "[ -n {{v}} ]"),
    ("echo $'{{v}}\\n'", "echo '{{v}}'"),
    ('echo "${x%{{v}}}"', 'v={{v}}; echo "${x%"$v"}"'),
    ("echo \\{{v}}", "echo '\\'{{v}}"),
    ("echo oops >&{{v}}", "echo oops >&2"),
    ("echo $[1 + {{v}}]", "echo $((1 + {{v}}))"),
    ('echo {{#v}}"{{/v}}{{v}}', 'echo {{#v}}"{{v}}"{{/v}}'),
    ("echo {{{v}}} {{v}}", "echo {{v}} {{{v}}}"),
)

WARNED = (
    "ssh host ls dir/{{v}}",
    "su app -c 'ls {{v}}'",
    "awk '/{{v}}/' log.txt",
    "sed 's/NAME/{{v}}/' letter.txt",
    "python3 -c 'print(\"{{v}}\")'",
    "find . -exec ls dir/{{v}} \\;",
    "xargs rm dir/{{v}}",
    "rm {{v}}",
)

DANGEROUS = (("safe", "echo {{v}}"), ("safe", "echo {{{v}}}"), ("legacy", "echo {{v}}"))


def rendered(cmd: str, value: object, *, legacy: bool = False) -> str:
    """The text that bash gets for `cmd` with `value`."""
    template = compile_command(cmd, render="legacy" if legacy else "safe")
    return template.render({"v": value, "n": value}, "T1")[2]


def code(text: str) -> str:
    """`text` as code in one cell of a Markdown table."""
    text = text.replace("\n", " ⏎ ").replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def reason(message: str) -> str:
    """What is wrong, without the place and the name of the value."""
    return re.sub(r"^line \d+, column \d+: (?:v: )?", "", message).replace("|", "\\|")


def refusal(cmd: str) -> tuple[str, str]:
    """The code and the words with which `cmd` is refused. Raises AssertionError where it is not."""
    try:
        compile_command(cmd)
    except TemplateError as error:
        return error.faults[0].code, reason(error.faults[0].message)
    raise AssertionError(f"{cmd!r} is not refused")


def tables() -> dict[str, str]:
    """All tables by their marks."""
    contexts = [(place, code(cmd), code(rendered(cmd, VALUE))) for place, cmd in CONTEXTS]
    integers = [(place, code(cmd), code(rendered(cmd, 3))) for place, cmd in INTEGERS]
    refused = [(code(cmd), "{1} (`{0}`)".format(*refusal(cmd)), code(instead)) for cmd, instead in REFUSED]
    warned = []
    for cmd in WARNED:
        warning = compile_command(cmd).warnings[0]
        warned.append((code(cmd), f"{reason(warning.message)} (`{warning.code}`)"))
    dangerous = []
    for how, cmd in DANGEROUS:
        is_safe = how == "safe" and "{{{" not in cmd
        text = code(rendered(cmd, COMMAND, legacy=how == "legacy"))
        dangerous.append((code(f"render: {how}"), code(cmd), text, "prints the text" if is_safe else "**runs it**"))
    return {
        "contexts": table(("place of the value", "command", "what bash reads"), contexts),
        "integers": table(("place of the value", "command", "with 3 bash reads"), integers),
        "refused": table(("command", "refused because", "instead"), refused),
        "warned": table(("command", "warning"), warned),
        "dangerous": table(("setting", "command", "what bash reads", "and does"), dangerous),
        "remedies": table(
            ("code", "what to do"),
            [(f"`{name}`", REGISTER[name].remedy.replace("|", "\\|")) for name in ("ERR-RUN-116", "ERR-RUN-117")],
        ),
    }


def fill_in(text: str) -> str:
    """The page with its tables as they are now."""
    return put_between(text, tables())


if __name__ == "__main__":
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
