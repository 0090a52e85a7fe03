"""Who is believed: a new answer, the last one, or nobody; and what is kept of it."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import NodeError, SettingsError, Unavailable
from job_item.load import Loaded
from job_item.manager import transport
from job_item.manager.supplier import Source, Wish, keep, load_kept, load_managed, shelf_of
from tests.brokers.certificates import Certificates
from tests.manager import standin as faults
from tests.manager.standin import BUNDLE, StandIn, registered, standing_in
from tests.unit.test_manager_bundle import packed

BROKER = {"type": "nats", "key": "main", "name": "main", "host": "broker", "port": 4222, "auth_type": "none"}
SECURE = {**BROKER, "secure": True, "ca_file": "tls/nats/ca.crt"}


@pytest.fixture
def manager() -> Iterator[StandIn]:
    content = {"uuid": "U", "broker_connection": BROKER, "project": {"job_datas": [registered("a")]}}
    with standing_in(content) as made:
        yield made


def source_of(folder: Path, manager: StandIn, **more: Any) -> Source:
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    (folder / "config.yaml").write_text(json.dumps(manager.settings(state_dir=str(state), **more)))
    return Source(folder / "config.yaml", {})


def settled(folder: Path, manager: StandIn) -> Loaded:
    """A node that has had its first answer."""
    loaded = load_managed(source_of(folder, manager), Wish())
    assert keep(loaded) is None
    return loaded


def test_a_new_answer_counts_and_is_kept_once_it_is_known_to_be_good(manager: StandIn, tmp_path: Path) -> None:
    source = source_of(tmp_path, manager)
    loaded = load_managed(source, Wish())
    assert (loaded.settings.project, list(loaded.registered or ())) == ("U", ["a"])
    assert shelf_of(loaded).read() is None
    assert keep(loaded) is None
    file = tmp_path / "state" / "manager.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["manager.json"]
    again = load_kept(source)
    assert again.settings == loaded.settings and again.registered == loaded.registered
    assert manager.asked() == 1
    for word in (manager.secret, "of-another"):
        assert word not in file.read_text()


def test_a_last_answer_will_do_where_nobody_wants_a_new_one(manager: StandIn, tmp_path: Path) -> None:
    settled(tmp_path, manager)
    loaded = load_managed(source_of(tmp_path, manager), Wish(asks=False))
    assert manager.asked() == 1
    assert loaded.supply is not None and not loaded.supply.has_been_asked


@pytest.mark.parametrize("change", ["url", "project"])
def test_the_answer_of_another_manager_or_for_another_project_does_not_count(
    manager: StandIn, tmp_path: Path, change: str
) -> None:
    settled(tmp_path, manager)
    with standing_in(start=False) as other:
        more: dict[str, Any] = {"credential": {"project_id": "Q"}} if change == "project" else {"end_point": other.url}
        manager.stop()
        with pytest.raises(Unavailable):
            load_managed(source_of(tmp_path, manager, **more), Wish())


def test_a_manager_that_is_away_leaves_its_last_answer(manager: StandIn, tmp_path: Path) -> None:
    settled(tmp_path, manager)
    manager.stop()
    loaded = load_managed(source_of(tmp_path, manager), Wish())
    assert loaded.supply is not None
    assert (loaded.supply.code, loaded.settings.project) == ("ERR-MGR-001", "U")
    state = loaded.supply.state()
    assert state.is_away and state.has_been_asked and keep(loaded) is None


@pytest.mark.parametrize("is_settled", [False, True])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.status(401), "ERR-MGR-002"),
        (faults.status(404), "ERR-MGR-002"),
        (faults.redirect("https://elsewhere/x?token=y"), "ERR-MGR-002"),
        (faults.garbage(b"no"), "ERR-MGR-003"),
        (faults.garbage(b'{"return": {"broker_connection": {"type": "x"}}}'), "ERR-MGR-003"),
    ],
)
def test_a_no_counts_except_for_a_node_that_runs_already(
    manager: StandIn, tmp_path: Path, fault: faults.Fault, code: str, is_settled: bool
) -> None:
    settled(tmp_path, manager)
    manager.fault = fault
    source = source_of(tmp_path, manager)
    if is_settled:
        loaded = load_managed(source, Wish(is_settled=True))
        assert loaded.supply is not None and loaded.supply.code == code
        assert "token" not in loaded.supply.failure
    else:
        with pytest.raises(NodeError) as refused:
            load_managed(source, Wish())
        assert refused.value.code == code and not isinstance(refused.value, SettingsError)


def test_settings_of_the_node_that_are_wrong_are_no_fault_of_the_manager(manager: StandIn, tmp_path: Path) -> None:
    source = source_of(tmp_path, manager, jobs=[{"event": "a"}])
    with pytest.raises(SettingsError):
        load_managed(source, Wish())
    assert manager.asked() == 0


def test_remote_commands_that_cannot_be_run_are_a_fault_of_the_answer(manager: StandIn, tmp_path: Path) -> None:
    manager.content["jobs"] = [{"event": "a", "cmd": "echo {{"}]
    with pytest.raises(NodeError) as refused:
        load_managed(source_of(tmp_path, manager, allow_remote_commands=True), Wish())
    assert refused.value.code == "ERR-MGR-003" and "jobs[0].cmd" in refused.value.message


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}', "\x00", "{" * 10_000])
def test_a_last_answer_that_was_damaged_is_none(manager: StandIn, tmp_path: Path, text: str) -> None:
    settled(tmp_path, manager)
    (tmp_path / "state" / "manager.json").write_text(text)
    source = source_of(tmp_path, manager)
    assert load_kept(source).supply is None
    assert load_managed(source, Wish(asks=False)).settings.project == "U"


def test_an_answer_that_cannot_be_kept_is_told_and_used(manager: StandIn, tmp_path: Path) -> None:
    loaded = load_managed(source_of(tmp_path, manager), Wish())
    (tmp_path / "state" / "manager.json.new").mkdir()
    error = keep(loaded)
    assert error is not None and error.code == "ERR-MGR-010"


def test_a_dry_question_leaves_no_trace(manager: StandIn, tmp_path: Path, certificates: Certificates) -> None:
    manager.content["broker_connection"] = SECURE
    manager.bundle = packed(("ca.crt", certificates.ca.crt.read_bytes()))
    loaded = load_managed(source_of(tmp_path, manager), Wish(is_dry=True))
    assert manager.asked(BUNDLE) == 1 and keep(loaded) is None
    assert list((tmp_path / "state").iterdir()) == []


# bounds


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "WHOLE_S", 1.0)
    monkeypatch.setattr(transport.post, "__kwdefaults__", {**(transport.post.__kwdefaults__ or {}), "whole_s": 1.0})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["drip", "hang"])
def test_a_question_has_an_end_whatever_comes(manager: StandIn, tmp_path: Path, kind: str) -> None:
    until = threading.Event()
    try:
        manager.fault = faults.drip(until) if kind == "drip" else faults.hang(until)
        begun_s = time.monotonic()
        with pytest.raises(Unavailable, match="within 1 s"):
            load_managed(source_of(tmp_path, manager), Wish())
        assert time.monotonic() - begun_s < 30
    finally:
        until.set()


def test_an_answer_without_end_is_refused(manager: StandIn, tmp_path: Path) -> None:
    manager.fault = faults.huge
    with pytest.raises(NodeError) as refused:
        load_managed(source_of(tmp_path, manager), Wish())
    assert refused.value.code in ("ERR-MGR-003", "ERR-MGR-001")


def test_what_is_refused_is_told_without_the_words_of_the_other_side(manager: StandIn, tmp_path: Path) -> None:
    manager.secret, sent = "another", "key-of-the-project"
    source = source_of(tmp_path, manager, credential={"project_id": "P", "secret_key": sent})
    with pytest.raises(NodeError) as refused:
        load_managed(source, Wish())
    assert "answers 401" in refused.value.message and sent not in refused.value.message


# certificates


def test_certificates_are_fetched_once_and_used(manager: StandIn, tmp_path: Path, certificates: Certificates) -> None:
    manager.content["broker_connection"] = SECURE
    manager.bundle = packed(("ca.crt", certificates.ca.crt.read_bytes()))
    loaded = settled(tmp_path, manager)
    broker = loaded.settings.broker_connection
    assert broker is not None and broker.ca_file is not None
    assert Path(broker.ca_file).read_bytes() == certificates.ca.crt.read_bytes()
    assert Path(broker.ca_file).is_relative_to(tmp_path / "state" / "tls")
    (question,) = [question for question in manager.questions if question.path == BUNDLE]
    assert question.document == {"app_id": "P", "app_secret": manager.secret}
    source = source_of(tmp_path, manager)
    for wish in (Wish(asks=False), Wish(asks_bundle=False)):
        again = load_managed(source, wish)
        assert again.settings.broker_connection == broker
    assert manager.asked(BUNDLE) == 1
    assert load_managed(source, Wish()).settings.broker_connection == broker
    assert manager.asked(BUNDLE) == 2


def test_a_client_certificate_in_the_bundle_is_found(
    manager: StandIn, tmp_path: Path, certificates: Certificates
) -> None:
    manager.content["broker_connection"] = SECURE
    manager.bundle = packed(
        ("ca.crt", certificates.ca.crt.read_bytes()),
        ("client.crt", certificates.client.crt.read_bytes()),
        ("client.key", certificates.client.key.read_bytes()),
    )
    broker = settled(tmp_path, manager).settings.broker_connection
    assert broker is not None and Path(broker.key_file or "").name == "client.key"
    assert stat.S_IMODE(Path(broker.key_file or "").stat().st_mode) == 0o600


def test_new_certificates_that_cannot_be_had_leave_the_old_ones(
    manager: StandIn, tmp_path: Path, certificates: Certificates
) -> None:
    manager.content["broker_connection"] = SECURE
    manager.bundle = packed(("ca.crt", certificates.ca.crt.read_bytes()))
    before = settled(tmp_path, manager)
    manager.bundle = packed(("../ca.crt", b"evil"))
    after = load_managed(source_of(tmp_path, manager), Wish())
    assert after.settings.broker_connection == before.settings.broker_connection
    assert after.supply is not None and after.supply.code == "ERR-MGR-005"


def test_certificates_that_were_put_in_their_place_by_hand_will_do(
    manager: StandIn, tmp_path: Path, certificates: Certificates
) -> None:
    manager.content["broker_connection"] = SECURE
    manager.bundle_fault = faults.status(404)
    with pytest.raises(NodeError):
        load_managed(source_of(tmp_path, manager), Wish())
    (tmp_path / "tls" / "nats").mkdir(parents=True)
    (tmp_path / "tls" / "nats" / "ca.crt").write_bytes(certificates.ca.crt.read_bytes())
    loaded = load_managed(source_of(tmp_path, manager), Wish())
    broker = loaded.settings.broker_connection
    assert broker is not None and broker.ca_file == str(tmp_path / "tls" / "nats" / "ca.crt")
    assert loaded.supply is not None and loaded.supply.code == "ERR-MGR-002"


def test_no_certificates_are_asked_for_without_tls(manager: StandIn, tmp_path: Path) -> None:
    manager.content["broker_connection"] = {**BROKER, "secure": False, "ca_file": "tls/nats/ca.crt"}
    load_managed(source_of(tmp_path, manager), Wish())
    assert manager.asked(BUNDLE) == 0
