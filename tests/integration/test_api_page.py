"""The description of the API and its page: complete, and all from this package."""

from __future__ import annotations

import re
import subprocess
import sys

from job_item.codes import REGISTER
from tests.desks import serve
from worker.api.app import build
from worker.api.page import MEDIA_TYPES, STATIC


def test_the_page_is_served_from_the_package_under_a_strict_policy() -> None:
    with serve() as served:
        page = served.ask("GET", "/docs")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        named = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
        assert len(named) == 5
        for address in named:
            assert not address.startswith(("http", "/"))
            assert served.ask("GET", "/" + address).status == 200
        for name, media_type in MEDIA_TYPES.items():
            reply = served.ask("GET", f"/docs/{name}")
            assert reply.headers["content-type"] == media_type
            assert reply.body == (STATIC / name).read_bytes()
        assert served.ask("GET", "/docs/LICENSE").status == 404
        assert served.ask("GET", "/docs/..%2fapp.py").status == 404


def test_every_page_describes_all_its_answers() -> None:
    paths = build().openapi()["paths"]
    assert set(paths) == {
        "/",
        "/job/create",
        "/dead",
        "/dead/{task_id}",
        "/dead/{task_id}/drop",
        "/dead/{task_id}/retry",
        "/jobs",
        "/jobs/{task_id}",
        "/jobs/{task_id}/cancel",
        "/jobs/{task_id}/log",
        "/msg/notif/{task_id}",
        "/msg/outbox/{task_id}",
        "/msg/outbox/file/{task_id}",
        "/msg/outbox/result/{task_id}",
        "/msg/share/data/{task_id}",
        "/msg/share/data/{task_id}/{key}",
        "/job/listen/job_record/{task_id}/log",
        "/job/listen/job_record/{task_id}/notif",
        "/job/job_record/{task_id}/action/{action}",
        "/execs",
        "/execs/{key}",
        "/execs/{key}/log",
        "/execs/{key}/restart",
        "/execs/{key}/start",
        "/execs/{key}/stop",
        "/reload",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for path, operations in paths.items():
        for operation in operations.values():
            statuses = set(operation["responses"])
            assert {"200", "400", "401", "403", "408", "413", "431", "500", "503"} <= statuses
            assert ("422" in statuses) == (path == "/reload")
            assert ("404" in statuses) == ("{" in path)
            assert operation["summary"]
            assert operation["description"]


def test_all_codes_of_the_api_are_in_the_register() -> None:
    source = "".join(path.read_text() for path in STATIC.parent.glob("*.py"))
    used = set(re.findall(r"ERR-[A-Z]{3}-\d{3}", source))
    assert used <= set(REGISTER)
    owned = {code for code in REGISTER if code.startswith("ERR-API-")}
    assert owned <= used


def test_importing_the_application_starts_nothing_and_loads_nothing_it_does_not_need() -> None:
    unwanted = {"multipart", "email_validator", "httpx", "requests", "yaml", "jinja2", "websockets", "sqlite3"}
    probe = (
        "import sys, threading, worker.api.server\n"
        f"assert not {unwanted!r} & set(sys.modules)\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", probe], check=True, timeout=60)
