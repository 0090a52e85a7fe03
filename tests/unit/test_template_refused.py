"""Tables of the places where no quoting helps: a tag there is refused when the settings are loaded."""

from __future__ import annotations

import pytest

from job_item.codes import REGISTER
from job_item.template import TemplateError, compile_command

REFUSED = {
    "ERR-RUN-104": (
        "echo {{#f}}'{{/f}}{{s}}'",
        'echo "{{#f}}a" {{/f}}',
        "echo {{#f}}$(a{{/f}})",
        "{{^f}}`{{/f}}",
        "{{#l}}( {{/l}}",
        "echo {{#f}}a\\{{/f}}b",
        "echo {{#f}}a #{{/f}}",
    ),
    "ERR-RUN-105": (
        "echo {{{s}}} {{s}}",
        "echo {{&s}}{{s}}",
        "echo {{#l}}{{s}}{{{.}}}{{/l}}",
        "echo {{#f}}{{{s}}}{{/f}} {{s}}",
    ),
    "ERR-RUN-106": (
        "cat <<E\n{{s}}\nE",
        "cat <<-E\n\ta{{s}}\n\tE",
        "cat <<'E'\n{{s}}\nE",
        "cat << {{s}}",
        "cat <<A <<B\nA\n{{s}}\nB",
    ),
    "ERR-RUN-107": ("echo $'{{s}}'", "echo $'a\\n{{s}}'", 'echo $"{{s}}"'),
    "ERR-RUN-108": (
        "{{s}}",
        "{{s}} a",
        "./{{s}}",
        "bin/{{s}}.sh a",
        "a; {{s}}",
        "a && {{s}}",
        "a | {{s}}",
        "a & {{s}}",
        "a\n{{s}}",
        "( {{s}} )",
        "{ {{s}}; }",
        "! {{s}}",
        "if {{s}}; then a; fi",
        "while {{s}}; do a; done",
        "if a; then {{s}}; fi",
        "echo $({{s}})",
        "echo `{{s}}`",
        "A=1 {{s}}",
        "> f {{s}}",
        "{{s}}=1",
        "{{s}}() { a; }",
        "function {{s}} { a; }",
        "for {{s}} in a; do b; done",
        "case a in b) {{s}} ;; esac",
        "$(echo {{s}})",
        "command {{s}}",
        "exec {{s}}",
        "builtin {{s}}",
        "nohup {{s}}",
        "bash {{s}}",
        "sh -x {{s}}",
        "time {{s}}",
        "{{#f}}echo {{/f}}{{s}}",
        '"{{s}}"',
        "$HOME/{{s}}",
    ),
    "ERR-RUN-109": (
        "eval {{s}}",
        "eval 'echo {{s}}'",
        'eval "$(echo {{s}})"',
        "\\eval {{s}}",
        "'ev'al {{s}}",
        "command eval {{s}}",
        "a; eval b {{s}}",
        "{{#f}}eval {{/f}}echo {{s}}",
        "trap {{s}} EXIT",
        "trap 'rm {{s}}' EXIT",
        ". {{s}}",
        "source ./{{s}}",
        "alias a={{s}}",
        "sh -c {{s}}",
        "bash -c 'echo {{s}}'",
        'dash -ec "{{s}}"',
        "/bin/sh -c {{s}}",
        "env bash -c {{s}}",
        "sudo -u a sh -c 'x {{s}}'",
        "bash -o pipefail -c {{s}}",
        "xargs sh -c 'x {{s}}'",
        "find . -exec sh -c 'x {{s}}' \\;",
        "docker exec a sh -c 'x {{s}}'",
        "bash -s {{s}}",
        "PS4={{s}}",
        "BASH_ENV={{s}} a",
        "export PS4={{s}}",
        "echo $(( $(echo {{n}}) ))",
    ),
    "ERR-RUN-110": (
        "test -v {{s}}",
        "[ -v {{s}} ]",
        "[[ -v {{s}} ]]",
        "[ {{s}} {{q}} ]",
        "printf -v {{s}} a",
        "printf -v{{s}} a",
        "read {{s}}",
        "read -r a {{s}}",
        "declare {{s}}",
        "declare -i a={{s}}",
        "declare -A a={{s}}",
        "declare -n a={{s}}",
        "declare -ai a=({{s}})",
        "typeset {{s}}",
        "local {{s}}",
        "export {{s}}",
        "export {{s}}=a",
        "readonly {{s}}",
        "unset {{s}}",
        "let {{s}}",
        "let a={{n}}",
        "mapfile {{s}}",
        "readarray -t {{s}}",
        "getopts {{s}} a",
        "wait {{s}}",
        "a=(); declare b={{s}}",
    ),
    "ERR-RUN-111": (
        "echo ${ {{s}} }",
        "echo ${a{{s}}}",
        "echo ${a%{{s}}}",
        'echo "${a#"{{s}}"}"',
        "echo ${a/{{s}}/b}",
        "echo ${a:{{n}}}",
    ),
    "ERR-RUN-112": (
        "echo ${{s}}",
        "echo \\{{s}}",
        'echo "\\{{s}}"',
        'echo "${{s}}"',
        "echo `a \\{{s}}`",
        "echo $(( $a{{n}} ))",
    ),
    "ERR-RUN-114": (
        "echo $[1+{{n}}]",
        "coproc a {{s}}",
        'echo "${a:-it\'s}" {{s}}',
        "a) {{s}}",
        "echo $((a) | b) {{s}}",
        "echo `'` {{s}}",
        "echo $( cat <<E ) {{s}}",
        "cat <<E\nx\\\nE\n{{s}}",
        "{{#l}}x{{/l}}y {{s}}",
    ),
    "ERR-RUN-115": ("echo 2>&{{n}}", "cat <&{{n}}", "echo >&{{s}}"),
}


@pytest.mark.parametrize(("code", "cmd"), [(code, cmd) for code, cmds in REFUSED.items() for cmd in cmds])
def test_a_tag_where_no_quoting_helps_is_refused(code: str, cmd: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_command(cmd)
    assert {fault.code for fault in caught.value.faults} == {code}
    fault = caught.value.faults[0]
    line = cmd.split("\n")[fault.line - 1]
    assert line[fault.column - 1 :].startswith("{{")
    assert fault.remedy == REGISTER[code].remedy


def test_all_faults_of_a_command_are_named_at_once() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_command("eval {{a}}\nread {{b}}; {{c}}")
    found = [(fault.code, fault.line, fault.column) for fault in caught.value.faults]
    assert found == [("ERR-RUN-109", 1, 6), ("ERR-RUN-110", 2, 6), ("ERR-RUN-108", 2, 13)]


@pytest.mark.parametrize("shell", ["zsh", "fish", "/usr/bin/python3", "csh"])
def test_values_for_an_unknown_shell_are_refused(shell: str) -> None:
    with pytest.raises(TemplateError, match="cannot be quoted"):
        compile_command("echo {{a}}", shell=shell)
    assert compile_command("echo a", shell=shell).render({}, "T1") == (shell, "-c", "echo a")


@pytest.mark.parametrize(
    ("cmd", "code"),
    [
        (("{{s}}", "a"), "ERR-RUN-108"),
        (("bin/{{s}}",), "ERR-RUN-108"),
        (("sh", "-c", "echo {{s}}"), "ERR-RUN-109"),
        (("env", "bash", "-ec", "{{s}}"), "ERR-RUN-109"),
        (("bash", "{{s}}"), "ERR-RUN-108"),
        (("nohup", "{{s}}"), "ERR-RUN-108"),
        (("a", "{{#s}}"), "ERR-RUN-102"),
        (("a", "{{>s}}"), "ERR-RUN-103"),
    ],
)
def test_a_list_command_refuses_values_that_would_be_code(cmd: tuple[str, ...], code: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_command(cmd)
    assert [fault.code for fault in caught.value.faults] == [code]
    assert caught.value.faults[0].message.startswith("word ")
