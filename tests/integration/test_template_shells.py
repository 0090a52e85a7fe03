"""Property tests of quoting: hostile values in every place of a template, judged by real shells."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import pytest

from job_item.template import TemplateError, compile_command
from tests.shells import SHELLS, judge, replaced

BENIGN = "Zq7Zq"

HOSTILE = (
    '', ' ', 'a b', '  lead trail  ', '\n', 'a\nb', '\n\n', 'trail\n', '\t', '\r\n', "'", "''", '"', '""', '\\',
    '\\\\', '\\\\\\', 'a\\', "\\'", '\\"', '\\`', '\\$', '\\n', '\\\n', '$', '$$', '$HOME', '${HOME}', '$set',
    '${x:-y}', '$(touch PWNED)', '`touch PWNED`', '$((1+1))', "$'x'", '$"x"', ';touch PWNED', '; touch PWNED #',
    '|touch PWNED', '||touch PWNED', '&touch PWNED', '&&touch PWNED', '\ntouch PWNED\n', "';touch PWNED;'",
    '";touch PWNED;"', "`';touch PWNED;'`", "'$(touch PWNED)'", '"$(touch PWNED)"', '\\`touch PWNED\\`',
    '\\\\`touch PWNED\\\\`', '\\$(touch PWNED)', '\\\\$(touch PWNED)', '}', '{', '{}', '}touch PWNED', 'a}b',
    '};touch PWNED;{', '{a,b}', '{1..3}', 'a,b', '..', ',', ')', '(', '()', ');touch PWNED;(', ')) ;touch PWNED; ((',
    '))', '((', '*', '?', '[a-z]*', '/*', '~', '~root', '~/x', '=', 'a=b', 'a=~', '#', '# c', 'a # c', '!', '!!',
    '!x', '^', '-', '--', '-n', '-rf', '--flag=x', '../..', '../../etc/passwd', '/dev/null', '>PWNED', '>>PWNED',
    '<x', '2', '1', '2>PWNED', '<<EOF', '<(touch PWNED)', '>(touch PWNED)', ';;', 'esac', 'do', 'done', 'in', 'fi',
    'then', 'if', '%s', '%n', '%', '&', ';', '|', 'é', 'ä€😀', '\x81\x85', 'ぁ', '\u2028', '\xa0', '\x01', '\x7f',
    '\x01\x7f\x01', '\x1b[31m', '\x81\x88', 'a\x02b', '\x03\x04', 'a[$(touch PWNED)]', "x" * 300, "'" * 20, "\\" * 21,
    '"' * 15, '`````````', '$($($($($($($($($(', '\'"`$\\\'"`$\\\'"`$\\\'"`$\\\'"`$\\', 'word', '1.5',
    'a.b-c_d/e:f@g%h+i,j',
)  # fmt: skip
PIECES = (
    *"'\"\\`$(){}[]<>|&;*?~#!=%^,.-+:@/ \t\n\ra1é\x01\x7f",
    *("$(touch PWNED)", "`touch PWNED`", "${HOME}", "touch PWNED", "\\\n", "..", "''"),
)


def hostile(chance: random.Random) -> str:
    """One value: from the list, or pieces at random; seldom a long one."""
    if chance.random() < 0.5:
        return chance.choice(HOSTILE)
    if chance.random() < 0.01:
        return "".join(chance.choices(PIECES, k=1000))
    return "".join(chance.choices(PIECES, k=chance.randrange(1, 9)))


class Maker:
    """Makes command texts at random, with the tag {{v}} in every kind of place."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def command(self, depth: int) -> str:
        words = [self.word(depth) for _ in range(self.chance.choice((1, 1, 2)))]
        return "p -- " + " ".join(words)

    def word(self, depth: int) -> str:
        kinds = [self.bare, self.bare, self.single, self.double]
        if depth > 0:
            kinds += [self.double, self.double, self.substitution, self.backtick, self.default]
        return "".join(self.chance.choice(kinds)(depth - 1) for _ in range(self.chance.choice((1, 1, 2))))

    def bare(self, depth: int) -> str:
        return self.chance.choice(
            ("{{v}}", "{{v}}", "a{{v}}", "{{v}}b", "{{v}}{{v}}", "x/{{v}}.y", "n={{v}}", "$set/{{v}}", "$set{{v}}")
        )

    def single(self, depth: int) -> str:
        return "'" + self.chance.choice(("{{v}}", 'a "{{v}}"', "{{v}} `$b", '{"k":"{{v}}"}', "{{v}}{{v}}")) + "'"

    def double(self, depth: int) -> str:
        kinds = [
            lambda _: self.chance.choice(
                ("{{v}}", "it {{v}}", "a '{{v}}'", "{{v}} \\\\", "$set {{v}}", '\\"{{v}}\\"', "${set}{{v}}")
            )
        ]
        if depth > 0:
            kinds += [self.substitution, self.backtick, self.quoted_default]
        return '"' + "".join(self.chance.choice(kinds)(depth - 1) for _ in range(self.chance.choice((1, 1, 2)))) + '"'

    def substitution(self, depth: int) -> str:
        return "$(" + self.chance.choice(("", " ")) + self.command(depth) + self.chance.choice((")", " )", "\n)"))

    def backtick(self, depth: int) -> str:
        return "`" + self.command(depth).replace("\\", "\\\\").replace("`", "\\`") + "`"

    def default(self, depth: int) -> str:
        return "${" + self.chance.choice(("unset:-", "unset-", "set:+", "set+")) + self.word(depth) + "}"

    def quoted_default(self, depth: int) -> str:
        inner = "".join(
            self.chance.choice(
                (self.quoted_text, self.quoted_text, self.double)
                + ((self.substitution, self.backtick, self.quoted_default) if depth > 0 else ())
            )(depth - 1)
            for _ in range(self.chance.choice((1, 1, 2)))
        )
        return "${" + self.chance.choice(("unset:-", "unset-", "set:+", "set+")) + inner + "}"

    def quoted_text(self, depth: int) -> str:
        return self.chance.choice(("{{v}}", "a {{v}}", "{{v}}\\}", "${set}{{v}}", "{{v}}~"))


def nested_cases(shell: str, seed: int, *, depth: int, count: int) -> list[tuple[str, str]]:
    """Pairs of a template and a value; few templates are so odd that they are refused."""
    chance = random.Random(seed)
    maker = Maker(chance)
    templates = [template for template in (maker.command(depth) for _ in range(count)) if loads(template, shell)]
    assert len(templates) > 0.9 * count
    return [(template, hostile(chance)) for template in templates]


def loads(template: str, shell: str) -> bool:
    try:
        compile_command(template, shell=shell)
    except TemplateError as error:
        assert {fault.code for fault in error.faults} == {"ERR-RUN-114"}
        return False
    return True


def check(shell: str, cases: list[tuple[str, str]], folder: Path, *, timeout_s: float = 280) -> None:
    """Judge (template, value) pairs: the words are those of a benign value, with the value in its place."""
    templates = list(dict.fromkeys(template for template, _ in cases))
    compiled = {template: compile_command(template, shell=shell) for template in templates}
    texts = [compiled[template].render({"v": BENIGN}, "T1")[2] for template in templates]
    benign, made = judge(shell, texts, folder / "benign", timeout_s=timeout_s)
    assert not made
    expected = dict(zip(templates, benign, strict=True))
    texts = [compiled[template].render({"v": value}, "T1")[2] for template, value in cases]
    got, made = judge(shell, texts, folder / "hostile", timeout_s=timeout_s)
    altered = [
        (template, value, text, records, replaced(expected[template], BENIGN, value))
        for (template, value), records, text in zip(cases, got, texts, strict=True)
        if records != replaced(expected[template], BENIGN, value)
    ]
    assert not altered, "\n".join(map(repr, altered[:20]))
    assert not made, made
    assert sum(map(bool, got)) > 0.99 * len(got), "the shell could not read the templates"


PLACES = (
    *r"""
p {{v}}
p '{{v}}'
p "{{v}}"
p a{{v}}b
p {{v}} {{v}}
p "$(p {{v}})"
p `p {{v}}`
p "`p {{v}}`"
p "`p '{{v}}'`"
p "`p "{{v}}"`"
p `p \`p {{v}}\``
p `p \`p '{{v}}'\``
p `p \`p "{{v}}"\``
p ${unset:-{{v}}}
p "${unset:-{{v}}}"
p ${unset:-'{{v}}'}
p ${unset:-"{{v}}"}
p "${unset:-"{{v}}"}"
p "${unset:-${unset:-{{v}}}}"
p ${unset:-"${unset:-{{v}}}"}
p "a ${unset-$(p {{v}})} b"
p "$(p "$(p "{{v}}")")"
x={{v}}; p "$x"
x='{{v}}' y="{{v}}"; p "$x" "$y"
for x in {{v}} b; do p "$x"; done
case {{v}} in {{v}}) p yes;; *) p no;; esac
case "$set" in {{v}}|given) p {{v}};; esac
p $set{{v}} "$set{{v}}" ${unset:-$set{{v}}}
f() { p "$@"; }; f {{v}}
( p {{v}} ) && { p '{{v}}'; }
if p {{v}}; then p {{v}}; else p no; fi
p ~{{v}}
p a{{v}}=~
p x:{{v}}
p {{v}}~
p $set"{{v}}"
p "`p \"{{v}}\"`"
x=`p {{v}}`; p {{v}}
p "\\{{v}}"
p \\{{v}}
p \'{{v}}\'
export x={{v}}; p "$x"
f() { local x={{v}}; p "$x"; }; f
set -- {{v}}; p "$@"
p "${unset:-{{v}}}"'{{v}}' {{v}}
""".strip().splitlines(),
    "p {{v}} # {{v}}\np after",
    "p a\\\n{{v}}",
    "p {{v}}<<'E'\n'$(\nE\np {{v}}",
    "p `# {{v}}\np {{v}}`",
    'p "$(p {{v}} # {{v}} )\n)"',
)
BASH_PLACES = (
    *r"""
p {a,{{v}}}
p {{=<% %>=}}{<%v%>,b}
[[ {{v}} == {{v}} ]] && p same
[[ x{{v}} = {{v}} ]] || p other
a=({{v}} '{{v}}'); p "${a[@]}"
a=([1]={{v}}); p "${a[1]}"
read -r x <<< {{v}}; p {{v}}
[[ abc =~ {{v}} ]]; p {{v}}
declare x={{v}}; p "$x"
p [{{v}}]
p a[{{v}}]b*
declare -A m; m["k"]={{v}}; p "${m[k]}"
a[0]={{v}}; p "$a"
x+={{v}}; p "$x"
""".strip().splitlines(),
    "shopt -s extglob\np {{v}}",
)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_hostile_value_is_literal_in_every_place(shell: str, tmp_path: Path) -> None:
    places = PLACES if shell == "dash" else PLACES + BASH_PLACES
    chance = random.Random(1)
    cases = [(place, value) for place in places for value in chance.sample(HOSTILE, 25)]
    check(shell, cases, tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_hostile_values_are_literal_in_nested_places(shell: str, tmp_path: Path) -> None:
    check(shell, nested_cases(shell, 2, depth=3, count=300), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shell", SHELLS)
def test_twenty_thousand_hostile_values_are_literal(
    shell: str, seed: int, tier: Literal["quick", "night"], tmp_path: Path
) -> None:
    count = 2000 if tier == "night" else 150  # ten seeds make twenty thousand a shell
    check(shell, nested_cases(shell, seed, depth=4, count=count), tmp_path, timeout_s=600)
