"""The client against the stand-in: tokens, the limiter, connections that close, answers that do not come."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from examples.reefguide.api import PASSWORD, USER, StandIn, accounts
from examples.reefguide.api.accounts import Accounts
from examples.reefguide.api.store import Store
from job_item.errors import Unavailable
from job_item.reefspec import ReefGuide
from tests.journals import in_loop
from worker.reefguide import access
from worker.reefguide import exchange as exchanges
from worker.reefguide.access import Access, Busy
from worker.reefguide.client import Client, Unanswered
from worker.reefguide.exchange import Exchange, Request
from worker.reefguide.wire import Answer


@asynccontextmanager
async def client_of(
    api: StandIn, folder: Path, timeout_s: float = 60.0, password: str = PASSWORD
) -> AsyncIterator[Client]:
    settings = ReefGuide.model_validate(
        {"api_endpoint": api.url, "job_types": ["TEST"], "username": USER, "password": password}
    )
    exchange = Exchange(api.url, timeout_s)

    def passing(moment: str, calls: tuple[str, ...]) -> None:
        """Nothing happens here."""

    try:
        yield Client(api.url, exchange, Access(settings, exchange, folder / "tokens", passing), passing)
    finally:
        exchange.close()


# calls


@in_loop
async def test_a_job_is_polled_claimed_and_concluded(api: StandIn, tmp_path: Path) -> None:
    api.store.create("ADRIA_MODEL_RUN", {})
    job = api.store.create("TEST", {"id": 7})
    async with client_of(api, tmp_path) as client:
        assert [listed.id for listed in await client.poll("TEST")] == [job.id]
        granted = await client.assign(job.id, "me", "here")
        assert granted is not None
        assert granted.storage_uri.startswith(f"s3://reef/results/test/{job.id}/")
        assert granted.lasts_s == pytest.approx(3600, abs=0.01)
        assert (
            await client.post_result(granted.assignment_id, b'{"status":"SUCCEEDED","resultPayload":{}}')
        ).status == 200
        view = await client.job(job.id)
        assert view is not None
        assert (view.status, view.payload, view.assignments[0].claimant) == ("SUCCEEDED", {"id": 7}, "me")
        assert not view.assignments[0].is_open


@in_loop
async def test_a_job_that_is_gone_or_not_there_is_not_to_be_had(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 7})
    async with client_of(api, tmp_path) as client:
        assert await client.assign(job.id, "me", "here") is not None
        assert await client.assign(job.id, "me", "here") is None
        assert await client.assign(99, "me", "here") is None
        assert await client.job(99) is None


# tokens


@in_loop
async def test_one_log_in_serves_many_calls_at_once(api: StandIn, tmp_path: Path) -> None:
    async with client_of(api, tmp_path) as client:
        await asyncio.gather(*(client.poll("TEST") for _ in range(20)))
    assert (api.faults.seen["login"], api.faults.seen["token"]) == (1, 0)


@in_loop
async def test_a_token_is_refreshed_before_its_end_and_never_met_with_a_401(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = time.time()
    clock = SimpleNamespace(time=lambda: now_s, monotonic=time.monotonic)
    monkeypatch.setattr(access, "time", clock)
    monkeypatch.setattr(accounts, "time", clock)
    with StandIn(Store(Accounts(access_life_s=600.0))) as api:
        async with client_of(api, tmp_path) as client:
            for _ in range(150):
                await client.poll("TEST")
                now_s += 10.0
        assert api.faults.seen["login"] == 1
        assert api.faults.seen["token"] >= 2
        assert api.faults.answered["poll", 401] == 0


@in_loop
async def test_a_plain_401_is_answered_with_a_refresh(api: StandIn, tmp_path: Path) -> None:
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")
        api.store.accounts.revoke_all()
        await client.poll("TEST")
    assert (api.faults.seen["login"], api.faults.seen["token"]) == (1, 1)


@in_loop
async def test_where_refreshing_does_not_help_one_log_in_does(api: StandIn, tmp_path: Path) -> None:
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")
        api.store.accounts.revoke_all()
        api.store.accounts.forget_refresh_tokens()
        await client.poll("TEST")
    assert (api.faults.seen["login"], api.faults.seen["token"]) == (2, 1)


@in_loop
async def test_a_node_that_starts_again_does_not_log_in_again(api: StandIn, tmp_path: Path) -> None:
    for _ in range(8):  # the limiter allows five
        async with client_of(api, tmp_path) as client:
            await client.poll("TEST")
    assert api.faults.seen["login"] == 1
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"owner": "somebody else", "tokens": {}}'])
@in_loop
async def test_a_file_of_tokens_that_is_of_no_use_is_not_used(content: str, api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(content)
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")
    assert api.faults.seen["login"] == 1


@in_loop
async def test_a_wrong_password_is_tried_once_and_then_after_a_pause_also_by_the_next_process(
    api: StandIn, tmp_path: Path
) -> None:
    for _ in range(3):
        async with client_of(api, tmp_path, password="wrong") as client:
            for _ in range(5):
                with pytest.raises(Busy) as refused:
                    await client.poll("TEST")
                assert refused.value.code in ("ERR-RFG-005", "ERR-RFG-007")
                assert refused.value.wait_s > 20
    assert api.faults.seen["login"] == 1


@in_loop
async def test_the_limiter_is_obeyed(tmp_path: Path) -> None:
    with StandIn(Store(Accounts(login_limit=0, login_window_s=60))) as api:
        api.faults.add("login", "busy", for_s=37)
        async with client_of(api, tmp_path) as client:
            for _ in range(3):
                with pytest.raises(Busy) as refused:
                    await client.poll("TEST")
                assert refused.value.code == "ERR-RFG-007"
                assert 30 < refused.value.wait_s <= 37
        assert api.faults.seen["login"] == 1


@in_loop
async def test_a_missing_role_is_no_reason_to_log_in_again(api: StandIn, tmp_path: Path) -> None:
    api.store.accounts.users[0].roles = ["DEFAULT"]
    async with client_of(api, tmp_path) as client:
        for _ in range(3):
            with pytest.raises(Busy) as refused:
                await client.poll("TEST")
            assert refused.value.code == "ERR-RFG-006"
    assert (api.faults.seen["login"], api.faults.seen["token"]) == (1, 0)


# connections


@in_loop
async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    api: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")
        await asyncio.sleep(5.3)  # what is tested is this pause: the server closes what rests for five seconds
        await client.poll("TEST")
        assert api.faults.seen["poll"] == 2
        monkeypatch.setattr(exchanges, "IDLE_S", 60.0)  # the server is quicker than we think: the GET is sent again
        api.faults.add("poll", "drop")
        await client.poll("TEST")
    assert api.faults.seen["poll"] == 4


@in_loop
async def test_a_get_is_sent_once_more_when_the_connection_breaks_and_a_post_is_not(
    api: StandIn, tmp_path: Path
) -> None:
    job = api.store.create("TEST", {"id": 1})
    async with client_of(api, tmp_path) as client:
        api.faults.add("poll", "drop")
        assert await client.poll("TEST")
        api.faults.add("assign", "drop")
        with pytest.raises(Unanswered):
            await client.assign(job.id, "me", "here")
    assert (api.faults.seen["poll"], api.faults.seen["assign"]) == (2, 1)


@pytest.mark.parametrize("kind", ["lose", "error", "garble"])
@in_loop
async def test_a_claim_without_a_proper_answer_may_have_been_granted(kind: str, api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")
        api.faults.add("assign", kind)  # type: ignore[arg-type]  # one of its words
        with pytest.raises(Unanswered):
            await client.assign(job.id, "me", "here")


@pytest.mark.parametrize(("kind", "for_s"), [("stall", 20.0), ("trickle", 0.5)])
@in_loop
async def test_an_answer_that_does_not_come_in_time_is_given_up(
    kind: str, for_s: float, api: StandIn, tmp_path: Path
) -> None:
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")  # the token is kept for the next one, which has little time
    async with client_of(api, tmp_path, timeout_s=1.0) as client:
        api.faults.add("poll", kind, for_s=for_s)  # type: ignore[arg-type]  # one of its words
        began_s = time.monotonic()
        with pytest.raises(Unavailable, match=r"in time|too slowly|whole answer"):
            await client.poll("TEST")
        assert time.monotonic() - began_s < 15


@in_loop
async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path, port: int) -> None:
    exchange = Exchange(f"http://127.0.0.1:{port}", 5.0)
    with pytest.raises(Unavailable) as lost:
        await exchange.ask(Request("GET", "/api/jobs/poll"))
    assert lost.value.code == "ERR-RFG-004"


@in_loop
async def test_no_more_threads_wait_than_are_allowed(api: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(api.url, 60.0)
    api.faults.add("unknown", "stall", times=100, for_s=0.2)
    asked, running, lock, ask = list[int](), list[Request](), threading.Lock(), exchange._ask

    def counted(request: Request) -> Answer:
        with lock:
            running.append(request)
            asked.append(len(running))
        try:
            return ask(request)
        finally:
            with lock:
                running.pop()

    monkeypatch.setattr(exchange, "_ask", counted)
    await asyncio.gather(*(exchange.ask(Request("GET", "/nothing")) for _ in range(24)))
    assert len(asked) == 24 and 1 < max(asked) <= exchanges.AT_ONCE
    exchange.close()


@in_loop
async def test_no_netrc_takes_the_place_of_the_token(
    api: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(exchanges, "_LOOPBACK", ())
    async with client_of(api, tmp_path) as client:
        assert await client.poll("TEST") == []


def test_the_stand_in_answers_as_the_api_does(api: StandIn) -> None:
    """The shapes of its refusals, section 4."""
    import requests

    def ask(method: str, path: str, body: object = None, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, api.url + path, json=body, headers=headers, timeout=60)

    assert ask("GET", "/api/jobs/poll").text == "Unauthorized"
    assert "Content-Type" not in ask("GET", "/api/jobs/poll").headers
    assert ask("GET", "/api/jobs/poll?jobType=X").json()[0]["errors"]["name"] == "ZodError"
    assert ask("GET", "//api/jobs/poll").status_code == 404
    assert ask("POST", "/api/auth/login", {"email": USER, "password": "x"}).json() == {
        "status": 401,
        "message": "Invalid credentials",
    }
    pair = ask("POST", "/api/auth/login", {"email": USER, "password": PASSWORD}).json()
    token = pair["token"]
    assert ask("POST", "/api/auth/token", {"refreshToken": pair["refreshToken"]}).json().keys() == {"token"}
    assert ask("GET", "/api/jobs/x", token=token).status_code == 500
    assert ask("POST", "/api/jobs/assign", {"jobId": "1", "ecsTaskArn": "", "ecsClusterArn": ""}).status_code == 400
    for number in range(12):
        api.store.create("ADRIA_MODEL_RUN", {"n": number})
    asked = ask("POST", "/api/jobs", {"type": "TEST", "inputPayload": {"id": 1}}, token)
    assert asked.json()["cached"] is False
    assert {job["type"] for job in ask("GET", "/api/jobs/poll", token=token).json()["jobs"]} == {"ADRIA_MODEL_RUN"}
    claim = {"jobId": asked.json()["jobId"], "ecsTaskArn": "", "ecsClusterArn": ""}
    number = ask("POST", "/api/jobs/assign", claim, token).json()["assignment"]["id"]
    path = f"/api/jobs/assignments/{number}/result"
    assert ask("POST", path, {"status": "FAILED", "resultPayload": {"error": "x"}}, token).status_code == 400
    assert ask("POST", path, {"status": "DONE"}, token).json()[0]["type"] == "Body"
    assert ask("POST", path, {"status": "SUCCEEDED", "resultPayload": {"x": "x" * 102_400}}, token).status_code == 500
    done = ask("POST", path, {"status": "FAILED", "resultPayload": None}, token)
    assert (done.status_code, done.content, "Content-Type" in done.headers) == (200, b"", False)
    assert ask("POST", path, {"status": "FAILED"}, token).json()["message"] == "Assignment already completed!"
    assert [ask("POST", "/api/auth/login", {"email": USER, "password": "x"}).status_code for _ in range(5)][-1] == 429
    assert json.loads(ask("POST", "/api/auth/login", {"email": USER, "password": "x"}).text) == {
        "error": "Too many attempts."
    }


@in_loop
async def test_an_api_that_takes_no_token_at_all_is_not_stormed_with_log_ins(api: StandIn, tmp_path: Path) -> None:
    async with client_of(api, tmp_path) as client:
        await client.poll("TEST")
        api.store.accounts.revoke_all(for_s=3600)
        for _ in range(5):
            with pytest.raises(Busy) as refused:
                await client.poll("TEST")
            assert refused.value.code in ("ERR-RFG-005", "ERR-RFG-007")
            assert refused.value.wait_s > 20
    assert api.faults.seen["login"] == 2
