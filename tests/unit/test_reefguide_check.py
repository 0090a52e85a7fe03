"""Whether the API would give jobs: what `check --connect` and `doctor` say, and what that costs; tokens of handlers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from examples.reefguide.api import PASSWORD, USER, StandIn
from job_item.reefcalls import Bearer, Calls
from job_item.reefspec import ReefGuide
from job_item.reeftokens import FILE, Store, Tokens, owner_of
from supervisor.doctor import configured
from supervisor.doctor.running import judge
from supervisor.reefcheck import look
from tests.conftest import free_port
from tests.doctors import HEALTH, READY, case, only


def settings_of(url: str, **members: Any) -> ReefGuide:
    given = {"api_endpoint": url, "job_types": ["TEST", "ADRIA_MODEL_RUN"], "username": USER, "password": PASSWORD}
    return ReefGuide.model_validate({**given, **members})


def codes(settings: ReefGuide, folder: Path) -> list[tuple[str, bool]]:
    return [(fault.code, fault.warning) for fault in look(settings, folder)]


def test_all_is_well_and_the_log_in_is_kept_for_the_node(api: StandIn, tmp_path: Path) -> None:
    settings = settings_of(api.url)
    assert codes(settings, tmp_path) == codes(settings, tmp_path) == []
    assert api.faults.seen["login"] == 1
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    api.store.accounts.revoke_all()
    assert codes(settings, tmp_path) == []
    assert (api.faults.seen["login"], api.faults.seen["token"]) == (1, 1)


def test_without_a_state_folder_nothing_is_written(api: StandIn, tmp_path: Path) -> None:
    assert codes(settings_of(api.url), tmp_path / "none") == []
    assert list(tmp_path.iterdir()) == []


def test_each_thing_that_can_be_wrong_has_its_own_code(
    api: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codes(settings_of(f"http://127.0.0.1:{free_port()}"), tmp_path) == [("ERR-RFG-004", False)]
    assert codes(settings_of(f"{api.url}/elsewhere"), tmp_path) == [("ERR-RFG-004", False)]
    assert codes(settings_of(api.url, password="another"), tmp_path) == [("ERR-RFG-005", False)]
    monkeypatch.setattr("examples.reefguide.api.store.TYPES", ("TEST",))
    assert codes(settings_of(api.url), tmp_path) == [("ERR-RFG-001", False)]
    api.store.accounts.users[0].roles.clear()
    assert codes(settings_of(api.url), tmp_path) == [("ERR-RFG-006", False)]


def test_a_user_who_may_not_log_in_just_now_is_a_warning(api: StandIn, tmp_path: Path) -> None:
    api.store.accounts.login_limit = 1
    api.store.accounts.login({"email": USER, "password": PASSWORD})
    assert codes(settings_of(api.url), tmp_path) == [("ERR-RFG-007", True)]
    Store(tmp_path / FILE, owner_of(USER, api.url)).save(Tokens().held_up(time.time(), 500))
    seen = api.faults.seen["login"]
    assert codes(settings_of(api.url), tmp_path) == [("ERR-RFG-007", True)]
    assert api.faults.seen["login"] == seen


def test_doctor_says_it_too(api: StandIn, tmp_path: Path) -> None:
    given = {"API_ENDPOINT": api.url, "JOB_TYPES": "TEST", "WORKER_USERNAME": USER, "WORKER_PASSWORD": PASSWORD}
    only(configured.job_api(case(tmp_path, environ=given)), "ok")
    only(configured.job_api(case(tmp_path, environ={**given, "WORKER_PASSWORD": "no"})), "fail", "ERR-RFG-005")
    assert list(configured.job_api(case(tmp_path))) == []


@pytest.mark.parametrize(("connected", "verdict", "code"), [(True, "ok", None), (False, "warn", "ERR-RFG-006")])
def test_doctor_believes_the_node_that_runs(connected: bool, verdict: str, code: str | None) -> None:
    state = {"url": "http://api", "connected": connected, "since": "2026", "code": code, "reason": "no role"}
    lines = judge(1, {**HEALTH, "reefguide": state}, READY, [])
    (line,) = [line for line in lines if line.check == "polling"]
    assert (line.verdict, line.code) == (verdict, code)


def test_a_handler_shows_the_newest_token_there_is(api: StandIn, tmp_path: Path) -> None:
    calls = Calls(api.url, 5)
    store = Store(tmp_path / FILE, None)
    bearer = Bearer(calls, store, "first")
    assert (bearer.token(), bearer.token("first")) == ("first", None)
    now = time.time()
    store.save(Tokens(access="kept", refresh="none that counts", renew_at=now + 60, login_at=now + 600))
    assert (bearer.token(), bearer.token("kept")) == ("kept", "first")
    account = api.store.accounts.login({"email": USER, "password": PASSWORD}).body
    store.save(Tokens(access="over", refresh=account["refreshToken"], renew_at=now - 1, login_at=now + 600))
    assert bearer.token("kept") not in ("kept", "over", "first", None)
    assert api.faults.answered["token", 200] == 1
    calls.close()
