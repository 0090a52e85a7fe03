"""Every setting answers every kind of wrong value in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from job_item.findings import findings, names, section_at
from job_item.section import Section
from job_item.settings import Job, Retries, Settings

PLAIN = re.compile(r"(wants|must|unknown key|is missing|cannot be|timeout|.* cannot be|the first word|a NUL).*")
WRONG: tuple[object, ...] = ([], {}, "\0", "", "-1", {"a": {}}, [{}], [[]], "nan", 1.5)
JARGON = ("Input", "valid", "should", "dict", "tuple", "str", "instance", "pydantic", "NoneType")


def paths(section: type[Section], above: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    for name in names(section):
        yield (*above, name)
    for name in names(section):
        for path in ((name,), (name, 0)):
            try:
                inner = section_at((*above, *path))
            except KeyError:
                continue
            is_list = name in ("jobs", "execs")
            if is_list == (len(path) == 2):
                yield from paths(inner, (*above, *path))


def tree_with(path: tuple[str | int, ...], value: object) -> Any:
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return value


@pytest.mark.parametrize("path", list(paths(Settings, ())), ids=lambda path: ".".join(map(str, path)))
def test_a_wrong_value_is_told_in_plain_words(path: tuple[str | int, ...]) -> None:
    for wrong in WRONG:
        try:
            Settings.model_validate(tree_with(path, wrong))
        except ValidationError as error:
            for finding in findings(error):
                assert PLAIN.fullmatch(finding.message), finding
                assert not any(re.search(rf"\b{word}\b", finding.message) for word in JARGON), finding


@pytest.mark.parametrize(("path", "section"), [((), Settings), (("jobs", 3), Job), (("jobs", 3, "retries"), Retries)])
def test_the_section_at_a_path_is_found(path: tuple[str | int, ...], section: type[Section]) -> None:
    assert section_at(path) is section


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"job": []}, "did you mean `jobs`?"),
        ({"end-point": ""}, "did you mean `end_point`?"),
        ({"API": {}}, "did you mean `api`?"),
        ({"jobs": [{"event": "a", "cmd": "b", "workingdir": "c"}]}, "did you mean `working_dir`?"),
        ({"api": {"level": "info"}}, "it belongs in `log`"),
        ({"limits": {"identity_id": "a"}}, "it belongs in the top level"),
        ({"jobs": [{"event": "a", "cmd": "b", "nice": 1}]}, "it belongs in `jobs[].resources` or `execs[].resources`"),
        ({"projects": {}}, "did you mean `project`?"),
        ({"zzz": 1}, "unknown key"),
    ],
)
def test_an_unknown_key_is_answered_with_the_name_that_may_be_meant(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(tree)
    (finding,) = findings(refused.value)
    assert finding.code == "ERR-CFG-004"
    assert finding.message.endswith(words)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"credential": {"secret_key": ["hunter22"]}})
    (finding,) = findings(refused.value)
    assert finding.message == "wants a text, not this"
