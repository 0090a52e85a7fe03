"""The answer of the Job Manager: read leniently, only what is ours, and laid over and under the node's own settings."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import NodeError, SettingsError
from job_item.load import Loaded, load, redacted
from job_item.manager.address import base_of, is_exposed
from job_item.manager.answer import Answer, Registration, read_answer
from job_item.manager.supply import Supply
from job_item.quantity import Unfit
from tests.manager.standin import nested, registered

BROKER = {"type": "nats", "key": "main", "name": "main", "host": "broker", "port": 4222, "auth_type": "none"}


def body(content: Any, **more: Any) -> bytes:
    return json.dumps({"status": "success", "return": content, **more}).encode()


def settled(folder: Path, text: str, content: Any, bundle: Path | None = None) -> Loaded:
    """Settings of a node with this file and this answer."""
    file = folder / "config.yaml"
    file.write_text("end_point: https://manager\n" + text)
    answer = read_answer(body(content))
    return load(file, {}, supply=Supply("https://manager", answer, 1_700_000_000.0, bundle))


# the address


@pytest.mark.parametrize(
    "text",
    [
        "https://manager:3000",
        "https://manager:3000/",
        "https://manager:3000//",
        "https://manager:3000/api/worker/config",
        "https://manager:3000/api/worker/config/",
        " https://manager:3000 ",
    ],
)
def test_the_address_counts_with_and_without_the_path_of_the_settings(text: str) -> None:
    assert base_of(text) == "https://manager:3000"


@pytest.mark.parametrize(
    ("text", "base"), [("", ""), ("  ", ""), ("https://a/b/c/", "https://a/b/c"), ("http://[::1]:1", "http://[::1]:1")]
)
def test_what_else_stands_in_an_address_stays(text: str, base: str) -> None:
    assert base_of(text) == base


@pytest.mark.parametrize(
    "text",
    ["manager", "manager:3000", "ftp://manager", "http://", "http://a:b", "http://a?x=1", "http://a#x", "http://a b"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Unfit, match="address of the Job Manager"):
        base_of(text)


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(Unfit) as refused:
        base_of("https://me:hunter22@manager")
    assert "hunter22" not in str(refused.value)


def test_an_empty_address_exposes_nothing() -> None:
    assert not is_exposed("")


# reading


def test_an_answer_to_the_letter_is_read() -> None:
    content = {
        "uuid": "P1",
        "broker_connection": BROKER,
        "project": {
            "uuid": "other",
            "name": "Renderers",
            "key": "key-of-project",
            "job_datas": [registered("render", 2, 60, nested("pdf", 1, "30")), registered("mail")],
        },
        "job_item_version_number": 3,
        "job_item_version": "v0.1.1",
        "job_item_link": "http://manager/binary",
    }
    answer = read_answer(body(content))
    assert (answer.uuid, answer.project) == ("P1", "Renderers")
    assert answer.broker == {
        **dict.fromkeys(("key", "name"), "main"),
        "type": "nats",
        "host": "broker",
        "port": "4222",
        "auth_type": "none",
    }
    assert answer.events == {
        "render": Registration(2, 60.0),
        "render.pdf": Registration(1, 30.0),
        "mail": Registration(),
    }
    assert (answer.version_number, answer.version, answer.link) == (3, "v0.1.1", "http://manager/binary")
    assert "of-another" not in repr(answer) and "key-of-project" not in repr(answer)


@pytest.mark.parametrize("content", [None, {}, [], "x", 3, {"project": None}, {"project": []}, {"project": "x"}])
def test_an_answer_without_content_is_an_empty_one(content: Any) -> None:
    assert read_answer(body(content)) == Answer()
    assert read_answer(json.dumps({}).encode()) == Answer()


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", b"[]", b'"x"', b"3", b"null", b'{"return": {', b"\xff", b"[" * 100_000, b"{" * 3, b"9" * 5000],
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(NodeError) as refused:
        read_answer(raw)
    assert refused.value.code == "ERR-MGR-003"


def test_names_count_in_any_case_and_an_exact_one_wins() -> None:
    content = {
        "UUID": "wrong",
        "uuid": "P1",
        "Project": {"Job_Datas": [{"Event": "a", "DATA": {"Limit_Process": 2}, "Nested_Jobs": [{"EVENT": "b"}]}]},
        "Broker_Connection": {"Type": "redis", "HOST": "h"},
    }
    answer = read_answer(json.dumps({"Return": content}).encode())
    assert answer.uuid == "P1"
    assert answer.events == {"a": Registration(2), "a.b": Registration()}
    assert answer.broker == {"type": "redis", "host": "h"}


@pytest.mark.parametrize(
    ("value", "limit"),
    [(1, 1), ("2", 2), (3.0, 3), ("4.0", 4), (None, 0), ("", 0), ("many", 0), (-1, 0), ([], 0), ({}, 0), (1e400, 0)],
)
def test_numbers_are_taken_as_they_come(value: Any, limit: int) -> None:
    project = {"job_datas": [registered("a", value, value, nested("b", value, value))]}
    assert read_answer(body({"project": project})).events == {
        "a": Registration(limit, float(limit)),
        "a.b": Registration(limit, float(limit)),
    }


def test_times_that_the_original_dies_of_do_no_harm() -> None:
    entry = registered("a") | {"created_at": "", "updated_at": "2024-01-02 03:04:05", "deleted_at": 5}
    assert list(read_answer(body({"project": {"job_datas": [entry, None, "x", {}]}})).events) == ["a"]


def test_an_event_that_cannot_be_part_of_a_subject_is_left_out() -> None:
    entries = [registered(event) for event in ("ok", "a b", "a.*", ">", "", "x" * 200)]
    assert list(read_answer(body({"project": {"job_datas": entries}})).events) == ["ok"]


def test_an_event_that_is_registered_twice_has_the_wider_bounds() -> None:
    entries = [registered("a", 2, 60), registered("a", 5, 0), registered("b", 2), registered("b", 0)]
    assert read_answer(body({"project": {"job_datas": entries}})).events == {"a": Registration(5), "b": Registration()}


@pytest.mark.parametrize("uuid", ["a b", "a.*", ">", "\n", "x" * 300])
def test_a_uuid_that_would_change_subjects_is_refused(uuid: str) -> None:
    with pytest.raises(NodeError, match="uuid"):
        read_answer(body({"uuid": uuid}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("return", "uuid", "project", "job_datas", "event", "data", "nested_jobs", "limit"),
                        *("broker_connection", "type", "port", "jobs", "execs", "cmd", "job_item_version_number"),
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=40,
    )
)
def test_no_answer_brings_anything_but_an_answer_or_a_refusal(document: Any) -> None:
    try:
        read_answer(json.dumps(document).encode())
    except NodeError as error:
        assert error.code == "ERR-MGR-003"


# merging


def test_the_broker_is_always_the_answers_own(tmp_path: Path) -> None:
    local = "broker_connection: {type: redis, host: elsewhere, password_file: none}\njob_item_link: x\n"
    loaded = settled(tmp_path, local, {"broker_connection": BROKER})
    broker = loaded.settings.broker_connection
    assert broker is not None and (broker.type, broker.host, broker.port) == ("nats", "broker", 4222)
    assert loaded.settings.job_item_link == ""
    assert [(fault.code, fault.line, fault.warning) for fault in loaded.warnings] == [("ERR-MGR-009", 2, True)]
    assert loaded.layers["broker_connection.host"] == "Job Manager, 2023-11-14T22:13:20Z"
    assert loaded.layers["end_point"] == "config.yaml:1"


def test_how_jobs_are_kept_is_the_nodes_own_with_any_broker_of_the_answer(tmp_path: Path) -> None:
    local = "broker_connection: {delivery: durable, lease: 7s, dedupe: 1m, consumer_timeout: 90s}\n"
    for kind, more in (("nats", {}), ("redis", {}), ("rabbitmq", {"user": "u", "password": "p"})):
        loaded = settled(tmp_path, local, {"broker_connection": {"type": kind, "host": "broker", **more}})
        broker = loaded.settings.broker_connection
        assert broker is not None and (broker.type, broker.host) == (kind, "broker")
        assert (broker.delivery, broker.lease, broker.dedupe) == ("durable", 7.0, 60.0)
        assert getattr(broker, "consumer_timeout", 90.0) == 90.0
        assert not [fault.code for fault in loaded.warnings if fault.code == "ERR-MGR-009"]
        assert loaded.layers["broker_connection.delivery"] == "config.yaml:2"
        assert loaded.layers["broker_connection.host"] == "Job Manager, 2023-11-14T22:13:20Z"


def test_how_jobs_are_kept_is_not_the_answers_to_say(tmp_path: Path) -> None:
    answer = {"broker_connection": {**BROKER, "delivery": "durable", "lease": 1}}
    broker = settled(tmp_path, "", answer).settings.broker_connection
    assert broker is not None and (broker.delivery, broker.lease) == ("compat", 30.0)


def test_a_fault_in_how_jobs_are_kept_is_told_with_its_place_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        settled(tmp_path, "broker_connection:\n  delivery: durable\n  lease: 0.1\n", {"broker_connection": BROKER})
    assert [(fault.path, fault.line) for fault in refused.value.faults] == [("broker_connection.lease", 4)]


@pytest.mark.parametrize(
    ("local", "content", "project"),
    [
        ("", {"uuid": "U"}, "U"),
        ("", {"project": {"uuid": "V"}}, "V"),
        ("", {"uuid": "U", "project": {"uuid": "V"}}, "U"),
        ("credential: {project_id: I}", {}, "I"),
        ("credential: {project_id: I}", {"uuid": "U"}, "U"),
        ("uuid: L", {"uuid": "U"}, "L"),
        ('uuid: ""', {"uuid": "U"}, "U"),
        ("", {}, "local"),
    ],
)
def test_the_project_is_the_uuid_or_what_comes_next_to_it(
    tmp_path: Path, local: str, content: dict[str, Any], project: str
) -> None:
    assert settled(tmp_path, local, {"broker_connection": BROKER, **content}).settings.project == project


REMOTE = {
    "broker_connection": BROKER,
    "jobs": [{"Name": "Clean", "Event": "clean", "Cmd": "rm -rf {{dir}}", "Pub_type": "x"}],
    "execs": [{"key": "spy", "cmd": "nc -l 1", "env": {"Keep_Case": "1"}, "attempt": 2, "cascade_exit": False}],
}


def test_commands_of_the_manager_are_refused_each_with_one_line(tmp_path: Path) -> None:
    loaded = settled(tmp_path, "", REMOTE)
    assert (loaded.settings.jobs, loaded.settings.execs) == ((), ())
    assert [(fault.code, fault.path, fault.warning) for fault in loaded.warnings] == [
        ("ERR-MGR-004", "jobs", True),
        ("ERR-MGR-004", "execs", True),
    ]
    assert "'clean'" in loaded.warnings[0].message and "rm -rf" not in loaded.warnings[0].message


def test_commands_of_the_manager_are_taken_where_the_node_allows_it_and_has_none(tmp_path: Path) -> None:
    loaded = settled(tmp_path, "allow_remote_commands: true\njobs: []\n", REMOTE)
    assert loaded.warnings == ()
    assert [(job.event, job.name, job.cmd) for job in loaded.settings.jobs] == [("clean", "Clean", "rm -rf {{dir}}")]
    (entry,) = loaded.settings.execs
    assert (entry.key, entry.env, entry.attempt) == ("spy", {"Keep_Case": "1"}, 2)


def test_a_node_with_commands_of_its_own_takes_none(tmp_path: Path) -> None:
    text = "allow_remote_commands: true\njobs: [{event: mine, cmd: 'true'}]\n"
    loaded = settled(tmp_path, text, REMOTE)
    assert [job.event for job in loaded.settings.jobs] == ["mine"]
    assert [entry.key for entry in loaded.settings.execs] == ["spy"]


def test_no_variable_of_this_machine_gets_into_what_a_server_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVATE", "of-this-machine")
    content = {"broker_connection": {**BROKER, "auth_type": "token", "token": "${PRIVATE}"}}
    assert "of-this-machine" not in settled(tmp_path, "", content).secrets


@pytest.mark.parametrize("member", ["password_file", "token_file", "exchange", "routing_key", "unknown"])
def test_members_that_are_none_of_a_servers_business_are_left_out(tmp_path: Path, member: str) -> None:
    (tmp_path / "secret").write_text("of-this-machine")
    loaded = settled(tmp_path, "", {"broker_connection": {**BROKER, member: str(tmp_path / "secret")}})
    assert "of-this-machine" not in json.dumps(redacted(loaded))


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        ({}, "names no broker"),
        ({"type": "nats"}, "host is missing"),
        ({"type": "kafka", "host": "h"}, "type"),
        ({**BROKER, "port": "many"}, "port"),
        ({**BROKER, "secure": True, "ca_file": "tls/nats/ca.crt"}, "cannot be used"),
    ],
)
def test_a_broker_that_cannot_be_used_is_a_fault_of_the_answer(tmp_path: Path, broker: Any, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settled(tmp_path, "", {"broker_connection": broker})
    assert words in str(refused.value)
    assert all("Job Manager" in (fault.file or "") for fault in refused.value.faults), refused.value.faults


@pytest.mark.parametrize("value", [4222.0, "4222", 4222])
@pytest.mark.parametrize("secure", [False, 0, "", "false", None])
def test_the_brokers_quirks_are_taken(tmp_path: Path, value: Any, secure: Any) -> None:
    loaded = settled(tmp_path, "", {"broker_connection": {**BROKER, "port": value, "secure": secure, "ca_file": ""}})
    assert loaded.settings.broker_connection is not None
    assert loaded.settings.broker_connection.port == 4222


@pytest.mark.parametrize(
    "path", ["/etc/ca.crt", "../ca.crt", "a/../../ca.crt", "~/ca.crt", "C:\\ca.crt", "..\\ca.crt", "a\n", "\\\\x\\y"]
)
def test_a_certificate_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settled(tmp_path, "", {"broker_connection": {**BROKER, "secure": True, "ca_file": path}})
    assert "ERR-MGR-005" in {fault.code for fault in refused.value.faults}


def test_passwords_of_the_answer_are_secrets(tmp_path: Path) -> None:
    content = {"broker_connection": {"type": "redis", "host": "h", "db": 0.0, "password": "pass-of-broker"}}
    loaded = settled(tmp_path, "", content)
    assert "pass-of-broker" in loaded.secrets
    assert "pass-of-broker" not in json.dumps(redacted(loaded))
    assert not any(fault.code == "ERR-CFG-024" for fault in loaded.warnings)  # it stands in no file of the user


def test_without_an_answer_a_node_with_a_manager_has_no_broker(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("end_point: https://m\nbroker_connection: {type: nats, host: h}\n")
    loaded = load(file, {})
    assert loaded.settings.broker_connection is None and loaded.registered is None


def test_without_a_manager_nothing_changes(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("broker_connection: {type: nats, host: h}\nuuid: U\ncredential: {project_id: I}\n")
    loaded = load(file, {})
    assert loaded.settings.broker_connection is not None
    assert (loaded.settings.project, loaded.supply, loaded.registered) == ("I", None, None)


def test_answers_made_by_chance_make_settings_or_faults(tmp_path: Path) -> None:
    chance = random.Random(7)
    values: list[Any] = [
        None,
        "",
        "x",
        0,
        1,
        4222,
        -1,
        1.5,
        True,
        False,
        [],
        {},
        ["a"],
        "a.crt",
        "tls/nats/ca.crt",
        "${HOME}",
    ]
    members = [*BROKER, "secure", "ca_file", "cert_file", "key_file", "user", "password", "token", "db", "servers"]
    for _ in range(200):
        broker = dict(BROKER) | {chance.choice(members): chance.choice(values) for _ in range(3)}
        try:
            settled(tmp_path, "", {"broker_connection": broker, "uuid": chance.choice(values)})
        except NodeError:
            continue
