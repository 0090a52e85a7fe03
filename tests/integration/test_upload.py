"""`job_item upload` and `job_item.upload` against a Job Manager: streams, repeats, resumes, refuses."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
from pathlib import Path

import pytest

from job_item import upload
from job_item.errors import BadMessage, NodeError, Unavailable
from tests.conftest import eventually
from tests.managers import KEY, RECORDS, Manager, Reply, Tus
from tests.terminal import COMMAND, Ended, Shell
from tests.weighing import weigh

pytestmark = pytest.mark.usefixtures("interruptible")


@pytest.fixture
def job(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Manager:
    """The variables of a job in this process."""
    for name, value in manager.variables().items():
        monkeypatch.setenv(name, value)
    return manager


def send(shell: Shell, manager: Manager, *words: str, **env: str) -> Ended:
    return shell.run("upload", *words, env={**manager.variables(), **env})


def some_file(folder: Path, size: int, name: str = "report.bin") -> tuple[Path, str]:
    data = random.Random(size).randbytes(size)
    path = folder / name
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_a_file_is_sent_as_one_part_of_a_form_with_the_key_of_the_project(shell: Shell, manager: Manager) -> None:
    path, digest = some_file(shell.folder, 300_001)
    ended = send(shell, manager, path.name)
    assert (ended.code, ended.err) == (0, "")
    (asked,) = manager.asked
    assert (asked.method, asked.path) == ("POST", f"{RECORDS}/file/T1")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert "transfer-encoding" not in asked.headers
    (form,) = manager.forms
    assert (form.name, form.file_name, form.size_bytes, form.sha256) == ("file", "report.bin", 300_001, digest)
    assert form.content_type == "application/octet-stream"
    said = ended.out.decode()
    assert "sent report.bin (293.0 KiB)" in said
    assert "download: https://manager.example/files/T1/7" in said
    assert "security: Whoever has this address can read the file." in said
    assert "expiry: The address is good for a day." in said


def test_with_json_each_file_is_a_document_of_one_line(shell: Shell, manager: Manager) -> None:
    some_file(shell.folder, 10, "a")
    some_file(shell.folder, 0, "empty")
    ended = send(shell, manager, "a", "empty", "--json")
    assert ended.code == 0
    documents = [json.loads(line) for line in ended.out.splitlines()]
    assert [(said["path"], said["size_bytes"], said["file_info"]["id"]) for said in documents] == [
        ("a", 10, 7),
        ("empty", 0, 7),
    ]
    assert documents[0]["answer"]["status"] == "success"
    assert documents[0]["download_url"] == "https://manager.example/files/T1/7"


@pytest.mark.parametrize("name", ["with blank.txt", "ä€😀.bin", "-dash", "a;b=c"])
def test_names_of_files_arrive_as_they_are(job: Manager, tmp_path: Path, name: str) -> None:
    path, digest = some_file(tmp_path, 10, name)
    upload(path)
    assert [(form.file_name, form.sha256) for form in job.forms] == [(name, digest)]


def test_a_name_cannot_break_out_of_its_header(job: Manager, tmp_path: Path) -> None:
    upload(some_file(tmp_path, 10, 'a"; x="\r\nX-Evil: 1')[0])
    assert [form.file_name for form in job.forms] == ["a%22; x=%22%0D%0AX-Evil: 1"]


def test_a_large_file_is_not_held_in_memory(shell: Shell, manager: Manager) -> None:
    path = shell.folder / "large"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    with open(os.devnull, "wb") as nowhere:
        code, memory_bytes = weigh([*COMMAND, "upload", str(path)], shell.folder, manager.variables(), stdout=nowhere)
    assert code == 0
    assert [form.size_bytes for form in manager.forms] == [300 << 20]
    assert memory_bytes < 120 << 20


def test_on_a_terminal_a_bar_shows_how_far_it_is(
    shell: Shell, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in manager.variables().items():
        monkeypatch.setenv(name, value)
    path, _ = some_file(shell.folder, 3 << 20)
    with shell.on_terminal("upload", str(path)) as running:
        running.sees("download: https://manager.example/files/T1/7")
        shown = running.end().out.decode()
    assert "report.bin" in shown
    assert "3.0" in shown
    assert "MiB" in shown


@pytest.mark.parametrize("missing", ["JOB_MANAGER_UPLOAD_FILE", "JOB_ITEM_PROJECT_KEY"])
def test_a_missing_variable_is_named_with_an_example(shell: Shell, manager: Manager, missing: str) -> None:
    ended = send(shell, manager, "whatever", **{missing: ""})
    assert ended.code == 1
    assert f"The variable {missing} is not set. [ERR-REP-001]" in ended.err
    assert f"export {missing}='" in ended.err


def test_without_a_job_manager_it_is_said_that_there_is_none(shell: Shell, manager: Manager) -> None:
    ended = send(shell, manager, "x", JOB_MANAGER_UPLOAD_FILE="/api/worker/job_record/file/T1")
    assert (ended.code, "There is no Job Manager" in ended.err) == (1, True)


def test_without_a_file_the_command_says_what_it_wants(shell: Shell, manager: Manager) -> None:
    ended = send(shell, manager)
    assert (ended.code, "FILE" in ended.err) == (2, True)


def test_what_is_no_file_is_refused_before_anything_is_sent(shell: Shell, manager: Manager) -> None:
    some_file(shell.folder, 5, "good")
    (shell.folder / "folder").mkdir()
    os.mkfifo(shell.folder / "pipe")
    (shell.folder / "dangling").symlink_to("nowhere")
    for name, said in (
        ("missing", "No such file or directory"),
        ("dangling", "No such file or directory"),
        ("folder", "folder is a directory, not a file"),
        ("pipe", "pipe is a pipe, not a file"),
        ("/dev/null", "/dev/null is a device, not a file"),
    ):
        ended = send(shell, manager, "good", name)
        assert (ended.code, ended.out) == (1, b"")
        assert said in ended.err
        assert "ERR-REP-006" in ended.err
    assert manager.asked == []


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(401, b'{"return":"unknown project key"}'), NodeError, "401 Unauthorized, unknown project key"),
        (Reply(413, b"too large"), BadMessage, "413 .*, too large"),
        (Reply(307, b"", {"Location": "http://other/"}), NodeError, "307"),
        (Reply(200, b'{"status":"error","status_code":422,"return":"bad"}'), NodeError, "422 bad"),
    ],
)
def test_a_refusal_is_told_with_its_reason_and_not_tried_again(
    job: Manager, tmp_path: Path, reply: Reply, kind: type[NodeError], said: str
) -> None:
    job.replies.append(reply)
    with pytest.raises(kind, match=said) as caught:
        upload(some_file(tmp_path, 10)[0])
    assert (caught.value.code, len(job.asked)) == ("ERR-REP-003", 1)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'"stored"',
        b'{"return":null}',
        b'{"status_code":"200","return":{"file_info":[],"download_url":5,"expiry_notice":""}}',
        b'{"return":{"file_info":{"id":"7"}}}',
    ],
)
def test_members_of_the_answer_that_are_missing_or_strange_are_no_failure(
    job: Manager, tmp_path: Path, body: bytes
) -> None:
    job.replies.append(Reply(201, body))
    receipt = upload(some_file(tmp_path, 10)[0])
    assert (receipt.download_url, receipt.expiry_notice) == (None, None)
    assert receipt.answer == json.loads(body)


@pytest.mark.parametrize("body", [b"", b"<html>hello"])
def test_an_answer_that_is_no_json_is_told(job: Manager, tmp_path: Path, body: bytes) -> None:
    job.replies.append(Reply(200, body))
    with pytest.raises(NodeError, match="no JSON") as caught:
        upload(some_file(tmp_path, 10)[0])
    assert caught.value.code == "ERR-REP-010"


def test_a_broken_upload_is_sent_again_from_its_beginning(job: Manager, tmp_path: Path) -> None:
    path, digest = some_file(tmp_path, 5 << 20)
    job.replies += [Reply(hang_up=1 << 20), Reply(503, b"busy"), Reply(hang_up=5 << 20)]
    sent: list[int] = []
    upload(path, watch=lambda done, _size: sent.append(done))
    assert [form.sha256 for form in job.forms][-1] == digest
    assert sent.count(5 << 20) >= 2, "the last byte of the file was sent in two tries or more"


def test_a_refusal_in_the_middle_of_a_file_is_heard(job: Manager, tmp_path: Path) -> None:
    """A server that has seen enough answers and hangs up while the body still comes."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 200 << 20)
    job.early = Reply(413, b'{"error":"too large for this project"}', {"Connection": "close"})
    with pytest.raises(BadMessage, match="too large for this project"):
        upload(path)


def test_a_manager_that_is_away_is_told(job: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there, nor can anybody begin to
        monkeypatch.setenv("JOB_MANAGER_UPLOAD_FILE", f"http://127.0.0.1:{closed.getsockname()[1]}/x")
        with pytest.raises(Unavailable, match="could not be sent") as caught:
            upload(some_file(tmp_path, 10)[0])
    assert caught.value.code == "ERR-REP-004"


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_while_it_is_sent_is_noticed_and_does_not_arrive(
    job: Manager, tmp_path: Path, change: str
) -> None:
    path, _ = some_file(tmp_path, 30 << 20)

    def meddle(received: int) -> None:
        if received < 1 << 20:
            return
        match change:
            case "grow":
                with path.open("ab") as file:
                    file.write(b"more")
            case "shrink":
                os.truncate(path, 1 << 20)
            case "touch":
                os.utime(path, (1, 1))

    job.during = meddle
    with pytest.raises(NodeError, match="changed while it was being sent") as caught:
        upload(path)
    assert caught.value.code == "ERR-REP-007"
    assert job.forms == []


def test_a_large_file_goes_on_from_where_it_broke_off_if_the_server_speaks_tus(job: Manager, tmp_path: Path) -> None:
    size = 20 << 20
    path, digest = some_file(tmp_path, size, "big ä.bin")
    job.tus = Tus()
    job.tus.hang_ups += [5 << 20, 0, 7 << 20]
    receipt = upload(path)
    (arrived,) = job.tus.arrived.values()
    assert hashlib.sha256(arrived).hexdigest() == digest
    assert (receipt.location, receipt.download_url) == (f"{job.url}/uploads/0", None)
    methods = [asked.method for asked in job.asked]
    assert methods == ["OPTIONS", "POST", "HEAD", "HEAD", "HEAD", "PATCH"], "of broken requests there is no record"
    offsets = [asked.headers["upload-offset"] for asked in job.asked if asked.method == "PATCH"]
    assert int(offsets[0]) >= 12 << 20
    made = job.asked[1].headers
    assert (made["upload-length"], made["upload-metadata"]) == (str(size), "filename YmlnIMOkLmJpbg==")
    assert all(asked.headers["tus-resumable"] == "1.0.0" for asked in job.asked[1:])
    assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in job.asked)


def test_an_upload_whose_last_answer_was_lost_is_found_complete(job: Manager, tmp_path: Path) -> None:
    size = 17 << 20
    job.tus = Tus()
    job.tus.hang_ups.append(size)
    assert upload(some_file(tmp_path, size)[0]).location == f"{job.url}/uploads/0"
    assert [asked.method for asked in job.asked] == ["OPTIONS", "POST", "HEAD"]


def test_a_resumable_upload_that_gets_nowhere_is_given_up(job: Manager, tmp_path: Path) -> None:
    job.tus = Tus()
    job.tus.hang_ups += [0] * 50
    with pytest.raises(Unavailable, match="6 tries"):
        upload(some_file(tmp_path, 17 << 20)[0])


def test_an_upload_that_the_server_forgot_is_told(job: Manager, tmp_path: Path) -> None:
    job.tus = Tus(forgets=True)
    job.tus.hang_ups.append(1 << 20)
    with pytest.raises(NodeError, match="410 Gone"):
        upload(some_file(tmp_path, 17 << 20)[0])


def test_a_small_file_and_a_server_without_tus_see_a_form_only(job: Manager, tmp_path: Path) -> None:
    job.tus = Tus()
    upload(some_file(tmp_path, 1 << 20)[0])
    job.tus = None
    upload(some_file(tmp_path, 17 << 20)[0])
    assert [asked.method for asked in job.asked] == ["POST", "OPTIONS", "POST"]
    assert len(job.forms) == 2


def test_ctrl_c_ends_an_upload(shell: Shell, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in manager.variables().items():
        monkeypatch.setenv(name, value)
    path = shell.folder / "huge"
    path.touch()
    os.truncate(path, 8 << 30)
    seen: list[int] = []
    manager.during = seen.append
    with shell.start("upload", "huge") as running:
        eventually(lambda: seen, what="the upload has begun")
        running.interrupt()
        ended = running.end()
    assert ended.code in (1, 130, -signal.SIGINT)
    assert "Traceback" not in ended.err
    assert manager.forms == []
