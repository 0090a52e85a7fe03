"""`from job_item import ...` in scripts: against a Job Manager, and what fails there."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import job_item
from job_item import notify, submit_result, task_data
from job_item.errors import BadMessage, NodeError
from job_item.sdk.courier import Courier, Patience
from job_item.sdk.notification import send_text
from tests.conftest import ROOT
from tests.managers import KEY, MSG_LIMIT_BYTES, RECORDS, Manager, Reply, managing
from tests.terminal import environment

CERTIFICATE = ROOT / "tests" / "tls" / "server.crt"
"""Of 127.0.0.1, signed by itself, for tests only."""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """The variables and the directory of a job in this process."""
    with managing() as manager:
        for name, value in manager.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield manager


def test_notify_sends_one_message(job: Manager) -> None:
    assert notify("half done: ½") == 1
    assert job.messages == ["half done: ½"]


def test_notify_splits_a_text_that_is_too_long_and_sends_none_that_is_empty(job: Manager) -> None:
    assert notify("€" * MSG_LIMIT_BYTES) == 4
    assert job.messages[3].startswith("[part 4 of 4]\n€")
    assert notify("") == 0
    assert len(job.messages) == 4


def test_notify_replaces_what_no_encoding_can_carry(job: Manager) -> None:
    notify("lone \ud800 surrogate")
    assert job.messages == ["lone ? surrogate"]


def test_a_result_is_handed_in_with_status_and_key(job: Manager) -> None:
    assert submit_result({"rows": 12}) == {"status": "success", "status_code": 200, "return": {}}
    submit_result(status="failed", error="no input", tries=3)
    submit_result(None)
    assert job.results == [
        {"status": "completed", "result": {"rows": 12}},
        {"status": "failed", "error": "no input", "tries": 3},
        {"status": "completed", "result": None},
    ]
    assert {asked.path for asked in job.asked} == {f"{RECORDS}/result/T1"}
    assert {asked.headers["authorization"] for asked in job.asked} == {f"Bearer {KEY}"}
    assert {asked.headers["content-type"] for asked in job.asked} == {"application/json"}


def test_an_answer_to_a_result_need_not_be_json(job: Manager) -> None:
    job.replies.append(Reply(204, b""))
    assert submit_result(1) is None


@pytest.mark.parametrize("result", [object(), float("nan"), {1, 2}])
def test_a_result_that_is_no_json_is_refused_here(job: Manager, result: object) -> None:
    with pytest.raises(BadMessage) as caught:
        submit_result(result)
    assert (caught.value.code, job.asked) == ("ERR-REP-009", [])


def test_task_data_is_the_task_file(job: Manager, tmp_path: Path) -> None:
    (tmp_path / "T1.json").write_text('{"n": 1, "nested": {"list": [1.5, null, "é"]}}')
    assert task_data() == {"n": 1, "nested": {"list": [1.5, None, "é"]}}


def test_a_task_file_that_is_missing_or_broken_is_told_with_its_path(job: Manager, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=f"{tmp_path}/T1.json cannot be read: No such file") as caught:
        task_data()
    assert caught.value.code == "ERR-REP-008"
    (tmp_path / "T1.json").write_text("{")
    with pytest.raises(NodeError, match="no JSON"):
        task_data()


@pytest.mark.parametrize("name", ["JOB_ITEM_TASK_ID", "JOB_MANAGER_RESULT_URL", "JOB_ITEM_PROJECT_KEY"])
def test_outside_a_job_each_call_names_what_is_missing(
    job: Manager, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(NodeError, match=f"The variable {name} is not set") as caught:
        if name == "JOB_ITEM_TASK_ID":
            notify("x")
        submit_result(1)
    assert caught.value.code == "ERR-REP-001"


def test_no_netrc_and_no_proxy_gets_between_a_script_and_this_machine(
    job: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password eve\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    submit_result(1)
    assert job.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_progress_in_a_job_is_printed_and_sent(job: Manager) -> None:
    script = "from job_item import progress\nfor i in range(1001): progress(i, 1000, 'cutting')"
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment(job.variables()), capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines() == job.messages
    assert job.messages[0] == "0 % cutting"
    assert job.messages[-1] == "100 % cutting"
    assert len(job.messages) < 30, "a thousand steps are not a thousand notifications"


def test_progress_outside_a_job_is_printed_only() -> None:
    script = "from job_item import progress\nprogress(0.5)\nprogress(1)"
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("50 %\n100 %\n", "")


def test_progress_outlives_a_node_that_is_away_and_a_reader_that_left(job: Manager) -> None:
    script = "import os, sys\nos.dup2(os.open('/dev/full', os.O_WRONLY), 1)\nfrom job_item import progress\nprogress(1)"
    away = {**job.variables(), "JOB_ITEM_MSG_NOTIF_HOST": "http://127.0.0.1:9/msg/notif"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment(away), capture_output=True, text=True, check=False
    )
    assert "Traceback" not in ended.stderr


def test_importing_the_package_loads_nothing() -> None:
    place = f"import sys; sys.path.insert(0, {str(Path(job_item.__file__).parent.parent)!r})"
    code = f"{place}; before = set(sys.modules); import job_item; print(*sorted(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["job_item"]


def test_the_package_offers_its_calls_and_nothing_that_it_has_not() -> None:
    assert set(job_item.__all__) <= set(dir(job_item))
    for name in job_item.__all__:
        assert callable(getattr(job_item, name))
    with pytest.raises(AttributeError, match="no attribute 'notifi'"):
        job_item.notifi  # type: ignore[attr-defined]  # noqa: B018 - that is what is tested


class _Quiet(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tls() -> Iterator[str]:
    """A server whose certificate nobody knows."""
    server = HTTPServer(("127.0.0.1", 0), _Quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust us is expected
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/msg/notif/T1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_tls_is_verified_with_the_certificates_that_the_usual_variables_name(
    tls: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    courier = Courier(Patience(attempts=1))
    with pytest.raises(NodeError, match="cannot be trusted") as caught:
        send_text(courier, tls, lambda: [b"x"])
    assert caught.value.code == "ERR-REP-005"
    monkeypatch.setenv(variable, str(CERTIFICATE))
    assert send_text(courier, tls, lambda: [b"x"]) == 1
    monkeypatch.setenv(variable, str(CERTIFICATE.with_name("nothing")))
    with pytest.raises(NodeError) as caught:
        send_text(courier, tls, lambda: [b"x"])
    assert caught.value.code == "ERR-REP-005"


def test_the_answers_of_a_manager_are_json() -> None:
    with managing() as manager:
        answer = Courier().send("GET", manager.url, None, {})
        assert answer.status == 401
        assert json.loads(answer.body)["status_code"] == 401
