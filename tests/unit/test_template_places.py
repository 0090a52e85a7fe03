"""Tables of what may hold a tag, how the value is written there, what is refused, and what is warned about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_item.codes import REGISTER
from job_item.errors import JobFailure
from job_item.template import TemplateError, compile_command

DATA = {"s": "a b", "q": "it's", "n": 5, "m": -3, "z": "007", "p": "plain", "e": "", "l": ["a b", "c"], "f": True}

REFUSED = {
    "ERR-RUN-104": (
        "echo {{#f}}'{{/f}}{{s}}'", 'echo "{{#f}}a" {{/f}}', "echo {{#f}}$(a{{/f}})", "{{^f}}`{{/f}}", "{{#l}}( {{/l}}",
        "echo {{#f}}a\\{{/f}}b", "echo {{#f}}a #{{/f}}",
    ),
    "ERR-RUN-105": ("echo {{{s}}} {{s}}", "echo {{&s}}{{s}}", "echo {{#l}}{{s}}{{{.}}}{{/l}}", "echo {{#f}}{{{s}}}{{/f}} {{s}}"),
    "ERR-RUN-106": ("cat <<E\n{{s}}\nE", "cat <<-E\n\ta{{s}}\n\tE", "cat <<'E'\n{{s}}\nE", "cat << {{s}}", "cat <<A <<B\nA\n{{s}}\nB"),
    "ERR-RUN-107": ("echo $'{{s}}'", "echo $'a\\n{{s}}'", 'echo $"{{s}}"'),
    "ERR-RUN-108": (
        "{{s}}", "{{s}} a", "./{{s}}", "bin/{{s}}.sh a", "a; {{s}}", "a && {{s}}", "a | {{s}}", "a & {{s}}", "a\n{{s}}", "( {{s}} )", "{ {{s}}; }",
        "! {{s}}", "if {{s}}; then a; fi", "while {{s}}; do a; done", "if a; then {{s}}; fi", "echo $({{s}})", "echo `{{s}}`", "A=1 {{s}}", "> f {{s}}",
        "{{s}}=1", "{{s}}() { a; }", "function {{s}} { a; }", "for {{s}} in a; do b; done", "case a in b) {{s}} ;; esac", "$(echo {{s}})",
        "command {{s}}", "exec {{s}}", "builtin {{s}}", "nohup {{s}}", "bash {{s}}", "sh -x {{s}}", "time {{s}}", "{{#f}}echo {{/f}}{{s}}", '"{{s}}"', "$HOME/{{s}}",
    ),
    "ERR-RUN-109": (
        "eval {{s}}", "eval 'echo {{s}}'", 'eval "$(echo {{s}})"', "\\eval {{s}}", "'ev'al {{s}}", "command eval {{s}}", "a; eval b {{s}}", "{{#f}}eval {{/f}}echo {{s}}",
        "trap {{s}} EXIT", "trap 'rm {{s}}' EXIT", ". {{s}}", "source ./{{s}}", "alias a={{s}}", "sh -c {{s}}", "bash -c 'echo {{s}}'", "dash -ec \"{{s}}\"", "/bin/sh -c {{s}}",
        "env bash -c {{s}}", "sudo -u a sh -c 'x {{s}}'", "bash -o pipefail -c {{s}}", "xargs sh -c 'x {{s}}'", "find . -exec sh -c 'x {{s}}' \\;", "docker exec a sh -c 'x {{s}}'",
        "bash -s {{s}}", "PS4={{s}}", "BASH_ENV={{s}} a", "export PS4={{s}}", "echo $(( $(echo {{n}}) ))",
    ),
    "ERR-RUN-110": (
        "test -v {{s}}", "[ -v {{s}} ]", "[[ -v {{s}} ]]", "[ {{s}} {{q}} ]", "printf -v {{s}} a", "printf -v{{s}} a", "read {{s}}", "read -r a {{s}}", "declare {{s}}", "declare -i a={{s}}",
        "declare -A a={{s}}", "declare -n a={{s}}", "typeset {{s}}", "local {{s}}", "export {{s}}", "export {{s}}=a", "readonly {{s}}", "unset {{s}}", "let {{s}}", "let a={{n}}", "mapfile {{s}}",
        "readarray -t {{s}}", "getopts {{s}} a", "wait {{s}}", "a=(); declare b={{s}}",
    ),
    "ERR-RUN-111": ("echo ${ {{s}} }", "echo ${a{{s}}}", "echo ${a%{{s}}}", 'echo "${a#"{{s}}"}"', "echo ${a/{{s}}/b}", "echo ${a:{{n}}}"),
    "ERR-RUN-112": ("echo ${{s}}", "echo \\{{s}}", 'echo "\\{{s}}"', 'echo "${{s}}"', "echo `a \\{{s}}`", "echo $(( $a{{n}} ))"),
    "ERR-RUN-114": (
        "echo $[1+{{n}}]", "coproc a {{s}}", "echo \"${a:-it's}\" {{s}}", "a) {{s}}", "echo $((a) | b) {{s}}", "echo `'` {{s}}", "echo $( cat <<E ) {{s}}", "cat <<E\nx\\\nE\n{{s}}",
        "{{#l}}x{{/l}}y {{s}}",
    ),
    "ERR-RUN-115": ("echo 2>&{{n}}", "cat <&{{n}}", "echo >&{{s}}"),
}  # fmt: skip


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
    with pytest.raises(TemplateError, match="ERR-RUN-113|cannot be quoted"):
        compile_command("echo {{a}}", shell=shell)
    assert compile_command("echo a", shell=shell).render({}, "T1") == (shell, "-c", "echo a")


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "ash", "ksh", "/bin/bash", "/usr/local/bin/dash"])
def test_the_known_shells_are_found_by_name_or_path(shell: str) -> None:
    assert compile_command("echo {{a}}", shell=shell).render({"a": "b c"}, "T1") == (shell, "-c", "echo 'b c'")


WRITTEN = (
    ("echo {{p}} {{task_id}}.json", "echo plain T1.json"),
    ("echo {{s}} {{q}} {{e}} x{{e}}y", "echo 'a b' 'it'\\''s' '' x''y"),
    ("echo '{{s}} {{q}}'", "echo 'a b it'\\''s'"),
    ('echo "{{s}} {{q}}"', 'echo "a b it\'s"'),
    ("echo {{p}}>f", "echo 'plain'>f"),
    ("echo ~{{p}} {a,{{p}}} [{{p}}]", "echo ~'plain' {a,'plain'} ['plain']"),
    ("echo $HOME{{p}} \"$HOME{{p}}\" ${HOME}{{p}}", "echo $HOME'plain' \"$HOME\"\"plain\" ${HOME}plain"),
    ("echo {1..{{n}}} {{=<% %>=}}{<%n%>..9}", "echo {1..5} {5..9}"),
    ("case {{p}} in {{p}}) a;; esac", "case 'plain' in 'plain') a;; esac"),
    ("echo $(( {{n}} - {{m}} ))", "echo $(( 5 - (-3) ))"),
    ("a[{{m}}]={{s}}; echo ${a[{{m}}]}", "a[-3]='a b'; echo ${a[-3]}"),
    ("[[ {{p}} == a && {{m}} -lt {{n}} ]]", "[[ 'plain' == a && -3 -lt 5 ]]"),
    ("# {{q}}\necho a # {{s}}", "# it_s\necho a # a b"),
    ("echo `echo {{q}}`", "echo `echo 'it'\\\\''s'`"),
    ('echo "`echo "{{q}}"`"', 'echo "`echo \\"it\'s\\"`"'),
    ('echo "${a:-{{p}}}" "${a:-{{s}}}"', 'echo "${a:-plain}" "${a:-$(printf \'a\\040b\')}"'),
    ("echo ${a:-{{p}}}", "echo ${a:-'plain'}"),
    ("echo {{#l}}{{.}} {{/l}}{{#f}}-v{{/f}}", "echo 'a b' c -v"),
    ("echo {{q}} {{{q}}}", "echo 'it'\\''s' it's"),
    ("declare -i i; i={{n}}; RANDOM={{n}}", "declare -i i; i=5; RANDOM=5"),
    ("sh -c 'echo \"$1\"' sh {{s}}", "sh -c 'echo \"$1\"' sh 'a b'"),
    ("cat <<E > {{s}}\n$a\nE\necho {{p}}", "cat <<E > 'a b'\n$a\nE\necho plain"),
    ("for i in do {{d}}; do a; done", "for i in do 'done'; do a; done"),
)  # fmt: skip


@pytest.mark.parametrize(("cmd", "written"), WRITTEN)
def test_a_value_is_written_for_its_place(cmd: str, written: str) -> None:
    assert compile_command(cmd).render(DATA | {"d": "done"}, "T1")[2] == written


@pytest.mark.parametrize(
    "value", ["", "x", "1+1", "0x1", "007", "1.0", "1e3", " 1", "1\n", "٣", "a[$(id)]", "9" * 19, None, True, [1]]
)
@pytest.mark.parametrize(
    "cmd", ["echo $(( {{v}} ))", "(( {{v}} ))", "a[{{v}}]=1", "[[ {{v}} -eq 1 ]]", "echo {1..{{v}}}"]
)
def test_only_a_decimal_integer_gets_into_arithmetic(cmd: str, value: object) -> None:
    with pytest.raises(JobFailure) as caught:
        compile_command(cmd).render({"v": value}, "T1")
    assert caught.value.code == "ERR-RUN-120"


@pytest.mark.parametrize("value", [0, 7, -7, "12", (1 << 63) - 1, -(1 << 63)])
def test_integers_of_64_bits_get_into_arithmetic(value: object) -> None:
    assert str(value) in compile_command("a[{{v}}]=1").render({"v": value}, "T1")[2]


@pytest.mark.parametrize("value", ["a\0b", "\0", "\ud800", "\udc80"])
@pytest.mark.parametrize("cmd", ["echo {{v}}", "echo '{{v}}'", "echo {{{v}}}", ("echo", "{{v}}"), "# {{v}}"])
def test_a_value_that_no_process_can_take_fails_the_job(cmd: str | tuple[str, ...], value: str) -> None:
    with pytest.raises(JobFailure) as caught:
        compile_command(cmd).render({"v": value}, "T1")
    assert caught.value.code == "ERR-RUN-121"


def test_a_format_that_would_be_an_option_fails_the_job() -> None:
    template = compile_command("printf {{v}} a")
    assert template.render({"v": "%s"}, "T1")[2] == "printf '%s' a" or template.render({"v": "%s"}, "T1")
    with pytest.raises(JobFailure) as caught:
        template.render({"v": "-va[$(id)]"}, "T1")
    assert caught.value.code == "ERR-RUN-122"


@pytest.mark.parametrize(
    ("cmd", "codes"),
    [
        ("echo hello {{s}}", ["117"]), ("rm -- {{s}}", []), ("rm ./{{s}}", []), ("rm \"{{s}}\"", ["117"]), ("rm x{{s}}", []), ("x={{s}}", []), ("cat < {{s}}", []),
        ("for i in {{s}}; do a; done", []), ("[ {{s}} = a ]", []), ("printf '%s\\n' {{s}}", []), ("printf 'hi {{s}}\\n'", ["116"]), ("ssh host ls x{{s}}", ["116"]),
        ("su app -c 'ls {{s}}'", ["116"]), ("xargs rm x{{s}}", ["116"]), ("awk 'x {{s}}' f", ["116"]), ("awk '{print}' {{s}}", []), ("sed 's/a/{{s}}/' f", ["116"]), ("sed -e 's/a/{{s}}/' f", ["116"]),
        ("sed -n 1p {{s}}", []), ("find . -name a{{s}}", []), ("find . -exec a x{{s}} \\;", ["116"]), ("python3 -c 'x {{s}}'", ["116"]), ("python3 -c x {{s}}", []), ("perl -ne 'x {{s}}'", ["116"]),
        ("node -e 'x{{s}}'", ["116"]), ("sudo {{s}}", ["116", "117"]), ("sudo ls x{{s}}", []), ("env A={{s}} b", []), (("rm", "{{s}}"), ["117"]), (("rm", "--", "{{s}}"), []), (("ssh", "h", "ls {{s}}"), ["116"]),
        (("python3", "-c", "x {{s}}"), ["116"]), (("python3", "a.py", "{{s}}"), []), (("sh", "-c", "echo \"$1\"", "sh", "{{s}}"), []),
    ],
)  # fmt: skip
def test_second_interpreters_and_options_are_warned_about(cmd: str | tuple[str, ...], codes: list[str]) -> None:
    warnings = compile_command(cmd).warnings
    assert [warning.code[-3:] for warning in warnings] == codes
    assert all(warning.remedy and "line 1, column" in warning.message for warning in warnings)


@pytest.mark.parametrize(
    ("cmd", "code"),
    [
        (("{{s}}", "a"), "ERR-RUN-108"), (("bin/{{s}}",), "ERR-RUN-108"), (("sh", "-c", "echo {{s}}"), "ERR-RUN-109"), (("env", "bash", "-ec", "{{s}}"), "ERR-RUN-109"),
        (("bash", "{{s}}"), "ERR-RUN-108"), (("nohup", "{{s}}"), "ERR-RUN-108"), (("a", "{{#s}}"), "ERR-RUN-102"), (("a", "{{>s}}"), "ERR-RUN-103"),
    ],
)  # fmt: skip
def test_a_list_command_refuses_values_that_would_be_code(cmd: tuple[str, ...], code: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_command(cmd)
    assert [fault.code for fault in caught.value.faults] == [code]
    assert caught.value.faults[0].message.startswith("word ")


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_a_list_command_takes_values_as_they_are(value: str) -> None:
    assert compile_command(("a", "x{{v}}y", "{{{v}}}")).render({"v": value}, "T1") == ("a", f"x{value}y", value)
