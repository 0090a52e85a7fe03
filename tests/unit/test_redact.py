"""No secret passes the redactor, in whatever form it is written."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.redact import MASK, SECRET_MIN_LENGTH, Redactor, is_secret_name

PEM = "-----BEGIN KEY-----\nMIIabcdefgh+/=\n  indented line\n-----END KEY-----\n"
SECRETS = ("hunter22", "s3cr3t/with word+1", 'quo"te\\d', "gr\u00fc\u00dfe\u2603!", PEM)
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in Unicode": lambda secret: json.dumps(secret, ensure_ascii=False),
    "repr": repr,
    "in an address": lambda secret: quote(secret, safe=""),
    "in an address, slashes kept": quote,
    "in an address, lower case": lambda secret: re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
    "in a form": quote_plus,
    "in hexadecimal": lambda secret: secret.encode().hex(),
    "in upper hexadecimal": lambda secret: secret.encode().hex().upper(),
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in base64 for addresses": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_in_every_form(secret: str, form: str) -> None:
    shown = Redactor(SECRETS).text(f"before {FORMS[form](secret)} after")
    assert shown.startswith("before ") and shown.endswith(" after")
    assert MASK in shown
    for line in secret.strip().splitlines():
        assert FORMS[form](line).strip("\"'") not in shown


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_a_secret_inside_a_longer_base64_text_is_masked_at_every_offset(before: str, after: str) -> None:
    secret = "hunter22-and-more"
    shown = Redactor([secret]).text(base64.b64encode(f"{before}{secret}{after}".encode()).decode())
    assert MASK in shown
    assert len(shown.replace(MASK, "")) <= 2 * len(before + after) + 6


def test_each_line_of_a_secret_with_several_lines_is_masked() -> None:
    shown = Redactor([PEM]).text("a\nMIIabcdefgh+/=\nindented line\nz")
    assert shown == f"a\n{MASK}\n{MASK}\nz"


@given(st.text(min_size=SECRET_MIN_LENGTH, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_any_secret_is_masked_in_any_surroundings(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    assert secret not in redactor.text(before + secret + after).replace(MASK, "")
    assert json.dumps(secret)[1:-1] not in redactor.text(json.dumps(before + secret + after)).replace(MASK, "")


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redactor(["hunter22", "hunter22-longer"]).text("hunter22-longer hunter22") == f"{MASK} {MASK}"


@pytest.mark.parametrize("secret", ["", "a", "12345"])
def test_a_short_value_is_not_looked_for(secret: str) -> None:
    assert Redactor([secret]).text("a 12345 b") == "a 12345 b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def", f"Authorization: {'Bearer '}{MASK}"),
        ("authorization: abcdef", f"authorization: {MASK}"),
        ('{"Authorization": "Basic dTpw"}', f'{{"Authorization": "Basic {MASK}"}}'),
        ("nats://user:pa55@host:4222/x", f"nats://{MASK}@host:4222/x"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("http://127.0.0.1:8080/jobs", "http://127.0.0.1:8080/jobs"),
        ("basic information about a bearer token", "basic information about a bearer token"),
    ],
)
def test_credentials_are_told_by_their_surroundings(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


TELLING_NAMES = """password DB_PASSWORD passwd passphrase token api.token accessToken secret client_secret secret_key
Authorization Set-Cookie API_KEY apikey AWS_SECRET_ACCESS_KEY JOB_ITEM_PROJECT_KEY"""
ORDINARY_NAMES = "secret_key_file token_file pass_env key tokens_used credential passed author monkey"


@pytest.mark.parametrize("name", TELLING_NAMES.split())
def test_a_value_under_a_telling_name_is_masked_whatever_it_is(name: str) -> None:
    assert is_secret_name(name)
    assert Redactor().value({name: 17}) == {name: MASK}
    assert Redactor().value({"deep": [{name: ["x", {"y": "z"}]}]}) == {"deep": [{name: MASK}]}


@pytest.mark.parametrize("name", ORDINARY_NAMES.split())
def test_an_ordinary_name_is_not_telling(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("value", [None, "", True, False])
def test_nothing_is_no_secret(value: object) -> None:
    assert Redactor().value({"token": value}) == {"token": value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (1.5, 1.5),
        (float("inf"), "inf"),
        (12345678, MASK),
        (b"x hunter22", f"x {MASK}"),
        (Path("/a/hunter22"), f"/a/{MASK}"),
        (ValueError("hunter22"), MASK),
        (("hunter22", 1), [MASK, 1]),
        ({"hunter22": "a"}, {MASK: "a"}),
        ({1: {"b": "hunter22"}}, {"1": {"b": MASK}}),
    ],
)
def test_structures_become_plain_and_masked(value: object, expected: object) -> None:
    shown = Redactor(["hunter22", "12345678"]).value(value)
    assert shown == expected
    json.dumps(shown)


def test_a_structure_that_contains_itself_ends() -> None:
    endless: dict[str, object] = {"a": "hunter22"}
    endless["self"] = endless
    assert "hunter22" not in json.dumps(Redactor(["hunter22"]).value(endless))
