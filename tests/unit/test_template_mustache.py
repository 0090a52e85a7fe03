"""The Mustache language: the rules of its specification, without a shell (list commands take values as they are)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_item.template import TemplateError, compile_command
from job_item.template.mustache import parse


def render(text: str, data: dict[str, Any] | list[Any]) -> str:
    return compile_command(("p", text)).render(data, "T1")[1]


@pytest.mark.parametrize(
    ("text", "data", "rendered"),
    [
        ("plain", {}, "plain"),
        ("{{a}} {{ a }} {{{a}}} {{& a }}", {"a": "<&\"'"}, "<&\"' <&\"' <&\"' <&\"'"),
        ("{{a}}|{{b}}|{{c}}|{{d}}|{{e}}", {"a": 12, "b": 1.5, "c": True, "d": None, "e": ""}, "12|1.5|true||"),
        ("{{big}}", {"big": 12345678901234567890123}, "12345678901234567890123"),
        ("{{o}} {{l}}", {"o": {"a": [1, "é"]}, "l": [1, None]}, '{"a":[1,"é"]} [1,null]'),
        ("{{missing}}|{{a.b}}|{{a.b.c}}", {"a": {}}, "||"),
        ("{{a.b.c}}", {"a": {"b": {"c": "deep"}}}, "deep"),
        ("{{a.b}}", {"a.b": "no", "a": {"b": "yes"}}, "yes"),
        ("{{a.b}}", {"a": "text"}, ""),
        ("{{task_id}}", {"task_id": "evil"}, "T1"),
        ("{{task_id}}{{a}}", ["x", 1], "T1"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": True}, "yes"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": False}, "no"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {}, "no"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": None}, "no"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": []}, "no"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": ""}, "no"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": 0}, "no"),
        ("{{#t}}yes{{/t}}{{^t}}no{{/t}}", {"t": {}}, "yes"),
        ("{{#t}}<{{.}}>{{/t}}", {"t": "text"}, "<text>"),
        ("{{#l}}<{{.}}>{{/l}}", {"l": ["a", 1, None, [2]]}, "<a><1><><[2]>"),
        ("{{#l}}{{n}}{{/l}}", {"n": "o", "l": [{"n": "a"}, {"m": "b"}, {"n": None}]}, "ao"),
        ("{{#a}}{{#b}}{{x}}{{y}}{{/b}}{{/a}}", {"x": 1, "a": {"y": 2, "b": {"x": 3}}}, "32"),
        ("{{#a.b}}{{c}}{{/a.b}}", {"a": {"b": {"c": "d"}}}, "d"),
        ("{{#l}}{{#.}}{{.}}{{/.}};{{/l}}", {"l": [[1, 2], [3]]}, "12;3;"),
        ("{{^l}}none{{/l}}", {"l": []}, "none"),
        ("a{{! any {{thing}} b", {}, "a b"),
        ("a{{!\nline\n}}b", {}, "ab"),
        ("{{=<% %>=}}<%a%> {{a}} <%={{ }}=%>{{a}}", {"a": 1}, "1 {{a}} 1"),
        ("{{=| |=}}|a|", {"a": 1}, "1"),
        ("x\n{{#t}}\ny\n{{/t}}\nz", {"t": 1}, "x\ny\nz"),
        ("x\n  {{#t}}  \n  y\n\t{{/t}}\nz", {"t": 1}, "x\n  y\nz"),
        ("x\r\n{{#t}}\r\ny\r\n{{/t}}\r\nz", {"t": 1}, "x\r\ny\r\nz"),
        ("{{#t}}\ny\n{{/t}}", {"t": 1}, "y\n"),
        ("x {{#t}}\ny\n{{/t}} z", {"t": 1}, "x \ny\n z"),
        ("{{#t}}y{{/t}}\nz", {"t": 1}, "y\nz"),
        ("a\n  {{! gone }}\nb", {}, "a\nb"),
        ("a\n {{=<% %>=}}\nb<%x%>", {"x": 1}, "a\nb1"),
        ("{{a}}\n", {"a": "v"}, "v\n"),
    ],
)  # fmt: skip
def test_a_template_renders_as_the_specification_says(text: str, data: Any, rendered: str) -> None:
    if text.startswith("a{{! any"):
        text = text.replace("{{thing}} b", "thing}} b")
    assert render(text, data) == rendered


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a {{", [("ERR-RUN-101", 1, 3)]),
        ("a\nb {{x", [("ERR-RUN-101", 2, 3)]),
        ("{{}} {{ }}", [("ERR-RUN-101", 1, 1), ("ERR-RUN-101", 1, 6)]),
        ("{{{x}}", [("ERR-RUN-101", 1, 1)]),
        ("{{.Names}} {{print $1}} {{a..b}}", [("ERR-RUN-101", 1, 1), ("ERR-RUN-101", 1, 12), ("ERR-RUN-101", 1, 25)]),
        ("{{=<%=}}", [("ERR-RUN-101", 1, 1)]),
        ("{{/x}}", [("ERR-RUN-102", 1, 1)]),
        ("a {{#x}} b", [("ERR-RUN-102", 1, 3)]),
        ("{{#x}}{{^y}}", [("ERR-RUN-102", 1, 1), ("ERR-RUN-102", 1, 7)]),
        ("{{#a}}{{#b}}{{/a}}{{/b}}", [("ERR-RUN-102", 1, 13), ("ERR-RUN-102", 1, 19)]),
        ("{{>p}} {{<q}} {{$r}}", [("ERR-RUN-103", 1, 1), ("ERR-RUN-103", 1, 8), ("ERR-RUN-103", 1, 15)]),
        ("a\0{{x}}", [("ERR-RUN-101", 1, 2)]),
    ],
)
def test_all_mistakes_are_named_at_once_with_their_places(text: str, faults: list[tuple[str, int, int]]) -> None:
    for cmd in (text, ("p", text)):
        with pytest.raises(TemplateError) as caught:
            compile_command(cmd)
        assert [(fault.code, fault.line, fault.column) for fault in caught.value.faults] == faults
        assert all(fault.remedy and fault.message for fault in caught.value.faults)


@settings(max_examples=200)
@given(st.text(st.sampled_from("{}#^/!=<>&.a% \n'\""), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    nodes, remarks = parse(text)
    assert remarks or isinstance(nodes, tuple)
    try:
        compile_command(text)
    except TemplateError as error:
        assert error.faults


def test_text_without_tags_is_never_refused() -> None:
    for text in ("echo 'unclosed", "$((", "cat <<EOF", "case x in", "`", "eval x", "}{"):
        assert compile_command(text).render({}, "T1") == ("bash", "-c", text)
