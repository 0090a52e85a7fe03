"""The vectors of the protocol for `render: legacy` (job-item.md, sections 4.3 and 11)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import JobFailure
from job_item.template import compile_command

MIXED = {"a": "x", "n": 1, "b": True, "z": None, "e": ""}
RAW = {"a": "<\"'&>;$(id)"}


def render(text: str, data: dict[str, Any] | list[Any]) -> str:
    return compile_command(text, render="legacy").render(data, "T1")[2]


@pytest.mark.parametrize(
    ("data", "text", "rendered"),
    [
        (MIXED, "a={{a}} n={{n}} b={{b}} z={{z}} e={{e}} q={{q}} t={{task_id}}", "a=x n= b= z= e= q= t=T1"),
        (RAW, "{{a}}", "&lt;&#34;&#39;&amp;&gt;;$(id)"),
        (RAW, "{{{a}}}", "<\"'&>;$(id)"),
        (RAW, "[{{&a}}][{{{ a }}}]", "[][]"),
        ({"n": 1, "e": "", "b": False},
         "{{#n}}N{{/n}}{{#e}}E{{/e}}{{#b}}B{{/b}}{{#q}}Q{{/q}}{{^q}}q{{/q}}{{^n}}n{{/n}}", "NEBq"),
        ({"a.b": "dot", "a": "s"}, "[{{a.b}}] {{.}} {{.Names}}", "[] map[a:s a.b:dot task_id:T1] "),
        ({"task_id": "evil"}, "{{task_id}}", "T1"),
        (["x", 1], "{{task_id}} {{a}}", "T1 "),
        ({}, "x {{!c}} y {{=<% %>=}}<% task_id %> {{task_id}}", "x  y T1 {{task_id}}"),
        ({}, "{{#task_id}}\nL1\n{{/task_id}}\nL2", "L1\n\nL2"),
        ({}, "{{#task_id}}\r\nL1{{/task_id}}", "L1"),
        ({}, "echo {{", "line 1: unmatched open tag"),
        ({}, "echo {{#a}}x", "line 1: Section a has no closing tag"),
        ({}, "a\nb {{ }} c", "line 2: empty tag"),
        ({}, "a\n\n{{/a}}", "line 3: unmatched close tag"),
        ({}, "{{#a}}\n{{/b}}", "line 1: interleaved closing tag: b"),
        ({}, "{{>p}}", 'Could not find partial "p"'),
        ({}, "{{=<%}}", "line 1: Invalid meta tag"),
        ({"a": "v"}, "{{ a }}{{#a}}{{#b}}x{{/b}}{{^b}}y{{/b}}{{/a}}", "vy"),
        ({"a": "\u00e9"}, "{{a}} {{#.}}z{{/.}}", "\u00e9 z"),
    ],
)  # fmt: skip
def test_legacy_rendering_is_that_of_the_go_worker(data: Any, text: str, rendered: str) -> None:
    assert render(text, data) == rendered


def test_a_nul_becomes_the_replacement_character_or_fails_the_job() -> None:
    assert render("{{a}}", {"a": "x\0"}) == "x\N{REPLACEMENT CHARACTER}"
    with pytest.raises(JobFailure):
        render("{{{a}}}", {"a": "x\0"})


@given(st.text(st.sampled_from("{}#^/!=<>&.a% \n"), max_size=30))
def test_legacy_never_fails_to_compile_or_to_render(text: str) -> None:
    assert isinstance(render(text, {"a": "b"}), str)


def test_legacy_is_warned_about_where_there_are_values() -> None:
    assert [warning.code for warning in compile_command("x {{a}}", render="legacy").warnings] == ["ERR-RUN-118"]
    assert not compile_command("x", render="legacy").warnings
    assert compile_command(("a", "{{b}}"), render="legacy").render({"b": "<"}, "T1") == ("a", "&lt;")
