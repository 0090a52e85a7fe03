"""Who may ask the local API: the decisions, row by row."""

from __future__ import annotations

import asyncio

import pytest

from tests.desks import MemoryDesk
from worker.api.guard import Knock, is_own_host, judge, observe
from worker.api.server import own_hosts
from worker.api.site import Site

OWN = b"127.0.0.1:8080"


def site(token: bytes | None = None, host: str = "127.0.0.1") -> Site:
    loop = asyncio.new_event_loop()
    closing = loop.create_future()
    loop.close()
    return Site(MemoryDesk(), own_hosts(host), token, closing)


def knock(path: str = "/jobs", local: str = "127.0.0.1", **headers: str) -> Knock:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Knock(path, {b"host": OWN.decode(), **named}, local)


@pytest.mark.parametrize(
    ("header", "configured", "local", "own"),
    [
        ("127.0.0.1:8080", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("localhost:1", "127.0.0.1", "127.0.0.1", True),
        ("LocalHost.:8080", "127.0.0.1", "127.0.0.1", True),
        ("[::1]:8080", "127.0.0.1", "::1", True),
        ("127.8.9.1:8080", "127.0.0.1", "127.0.0.1", True),
        ("10.0.0.5:8080", "10.0.0.5", "10.0.0.5", True),
        ("node.lan", "node.lan", "10.0.0.5", True),
        ("10.0.0.5", "node.lan", "10.0.0.5", True),
        ("anything.example", "0.0.0.0", "10.0.0.5", True),
        ("anything.example", "::", "10.0.0.5", True),
        ("evil.example:8080", "127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", "127.0.0.1", False),
        ("10.0.0.6", "10.0.0.5", "10.0.0.5", False),
        ("", "127.0.0.1", "127.0.0.1", False),
        ("", "0.0.0.0", "127.0.0.1", False),
        ("user@127.0.0.1", "127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1:80:80", "127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1:x", "127.0.0.1", "127.0.0.1", False),
        ("[::1", "127.0.0.1", "127.0.0.1", False),
        ("0x7f.1", "127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1, evil.example", "127.0.0.1", "127.0.0.1", False),
    ],
)
def test_only_own_names_are_hosts_of_the_node(header: str, configured: str, local: str, own: bool) -> None:
    assert is_own_host(header, local, own_hosts(configured)) is own


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:8080"}, True),
        ({"origin": "HTTP://127.0.0.1:8080", "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "http://127.0.0.1:3000"}, False),
        ({"origin": "http://localhost:8080"}, False),
        ({"origin": "https://127.0.0.1:8080"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": ""}, False),
    ],
)
def test_a_foreign_web_page_is_refused(headers: dict[str, str], allowed: bool) -> None:
    refusal = judge(knock(**headers), site())
    assert (refusal is None) is allowed
    assert allowed or (refusal and (refusal.status, refusal.code) == (403, "ERR-API-004"))


@pytest.mark.parametrize(
    ("path", "authorization", "allowed"),
    [
        ("/jobs", "Bearer s3cret", True),
        ("/jobs", "bearer  s3cret ", True),
        ("/t/s3cret/jobs", "", True),
        ("/healthz", "", True),
        ("/readyz", "", True),
        ("/jobs", "", False),
        ("/", "", False),
        ("/docs", "", False),
        ("/openapi.json", "", False),
        ("/jobs", "Bearer s3cre", False),
        ("/jobs", "Bearer s3cret2", False),
        ("/jobs", "Basic s3cret", False),
        ("/jobs", "Bearer gr\xfc\xdf", False),
        ("/t/other/jobs", "", False),
        ("/t/s3cret2/jobs", "", False),
        ("/t/", "", False),
        ("/healthz/", "", False),
    ],
)
def test_a_token_opens_every_page(path: str, authorization: str, allowed: bool) -> None:
    refusal = judge(knock(path, authorization=authorization), site(b"s3cret"))
    assert (refusal is None) is allowed
    assert allowed or (refusal and (refusal.status, refusal.code) == (401, "ERR-API-005"))


def test_without_a_token_every_page_is_open() -> None:
    assert judge(knock("/jobs"), site()) is None


@pytest.mark.parametrize(("length", "allowed"), [("0", True), ("1048576", True), ("1048577", False), ("9" * 40, False)])
def test_a_body_that_says_it_is_too_large_is_refused_unread(length: str, allowed: bool) -> None:
    refusal = judge(knock(content_length=length), site())
    assert (refusal is None) is allowed
    assert allowed or (refusal and refusal.status == 413)


def test_a_header_that_comes_twice_with_two_values_names_no_host() -> None:
    scope = {
        "path": "/",
        "server": ("127.0.0.1", 8080),
        "headers": [(b"host", OWN), (b"host", b"evil.example"), (b"origin", b"x"), (b"cookie", b"y")],
    }
    assert observe(scope).headers == {b"host": "", b"origin": "x"}
    scope["headers"] = [(b"host", OWN), (b"host", OWN)]
    assert observe(scope).headers == {b"host": OWN.decode()}
