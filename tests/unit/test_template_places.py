"""Tables of how a value is written for its place, what fails the job, and what is warned about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_item.errors import JobFailure
from job_item.template import compile_command

DATA = {"s": "a b", "q": "it's", "n": 5, "m": -3, "z": "007", "p": "plain", "e": "", "l": ["a b", "c"], "f": True}


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
    ('echo $HOME{{p}} "$HOME{{p}}" ${HOME}{{p}}', 'echo $HOME\'plain\' "$HOME""plain" ${HOME}plain'),
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
    ("declare -a a=({{s}}); ls !({{p}})", "declare -a a=('a b'); ls !('plain')"),
    ("for i in do {{d}}; do a; done", "for i in do 'done'; do a; done"),
)


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


@pytest.mark.parametrize(
    "cmd",
    [
        "n={{v}}; echo $((n + 1))",
        "n={{v}}; echo $(($n))",
        "n='{{v}}'; (( n > 1 ))",
        "n={{v}}; [[ $n -gt 1 ]]",
        "n={{v}}; let n+=1",
        "n={{v}}; a[n]=1",
        "n={{v}}; echo ${a[$n]}",
        "n={{v}}; echo ${a:n:1}",
        "for n in {{v}}; do echo $((n)); done",
        "export n={{v}}; echo $((n))",
        "f() { local n={{v}}; echo $((n)); }",
        "declare -i n; n={{v}}",
        "RANDOM={{v}}",
        "[[ 1 -lt {{v}} ]]",
    ],
)
def test_a_variable_that_arithmetic_evaluates_takes_only_an_integer(cmd: str) -> None:
    template = compile_command(cmd)
    assert "12" in template.render({"v": 12}, "T1")[2]
    with pytest.raises(JobFailure):
        template.render({"v": "a[$(id)]"}, "T1")


@pytest.mark.parametrize(
    "cmd",
    [
        "n={{v}}; echo $(( $(wc -l < $n) + 1 ))",
        "n={{v}}; m=1; echo $((m))",
        "n={{v}}; [[ $n == 1 && 1 -gt 2 ]]",
        "n={{v}}; echo ${a%$n} ${a:-$n}",
        'f={{v}}; echo "${f%"$e"}" {{v}}',
        "for n in {{v}}; do echo $n; done",
    ],
)
def test_a_variable_that_arithmetic_does_not_evaluate_takes_any_text(cmd: str) -> None:
    assert "'a b'" in compile_command(cmd).render({"v": "a b"}, "T1")[2]


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
    assert template.render({"v": "%s"}, "T1")[2] == "printf %s a"
    with pytest.raises(JobFailure) as caught:
        template.render({"v": "-va[$(id)]"}, "T1")
    assert caught.value.code == "ERR-RUN-122"


@pytest.mark.parametrize(
    ("cmd", "codes"),
    [
        ("echo hello {{s}}", ["117"]),
        ("rm -- {{s}}", []),
        ("rm ./{{s}}", []),
        ('rm "{{s}}"', ["117"]),
        ("rm x{{s}}", []),
        ("x={{s}}", []),
        ("cat < {{s}}", []),
        ("for i in {{s}}; do a; done", []),
        ("[ {{s}} = a ]", []),
        ("printf '%s\\n' {{s}}", []),
        ("printf 'hi {{s}}\\n'", ["116"]),
        ("ssh host ls x{{s}}", ["116"]),
        ("su app -c 'ls {{s}}'", ["116"]),
        ("xargs rm x{{s}}", ["116"]),
        ("awk 'x {{s}}' f", ["116"]),
        ("awk '{print}' {{s}}", []),
        ("sed 's/a/{{s}}/' f", ["116"]),
        ("sed -e 's/a/{{s}}/' f", ["116"]),
        ("sed -n 1p {{s}}", []),
        ("find . -name a{{s}}", []),
        ("find . -exec a x{{s}} \\;", ["116"]),
        ("python3 -c 'x {{s}}'", ["116"]),
        ("python3 -c x {{s}}", []),
        ("perl -ne 'x {{s}}'", ["116"]),
        ("node -e 'x{{s}}'", ["116"]),
        ("sudo {{s}}", ["116", "117"]),
        ("sudo ls x{{s}}", []),
        ("env A={{s}} b", []),
        ("rm {{task_id}} {{s}}", ["117"]),
        ("rm {{task_id}}", []),
        ("{{#a}}rm {{task_id}}{{/a}}", ["117"]),
        (("rm", "{{task_id}}"), []),
        (("rm", "{{s}}"), ["117"]),
        (("rm", "--", "{{s}}"), []),
        (("ssh", "h", "ls {{s}}"), ["116"]),
        (("python3", "-c", "x {{s}}"), ["116"]),
        (("python3", "a.py", "{{s}}"), []),
        (("sh", "-c", 'echo "$1"', "sh", "{{s}}"), []),
    ],
)
def test_second_interpreters_and_options_are_warned_about(cmd: str | tuple[str, ...], codes: list[str]) -> None:
    warnings = compile_command(cmd).warnings
    assert [warning.code[-3:] for warning in warnings] == codes
    assert all(warning.remedy and "line 1, column" in warning.message for warning in warnings)


@settings(max_examples=100)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_list_command_takes_values_as_they_are(value: str) -> None:
    assert compile_command(("a", "x{{v}}y", "{{{v}}}")).render({"v": value}, "T1") == ("a", f"x{value}y", value)
