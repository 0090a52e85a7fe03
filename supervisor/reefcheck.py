"""Whether the ReefGuide API would give this node jobs: it answers, takes the user, knows the types.

Nothing is claimed. The tokens that the node has kept are used, so that looking costs no log-in where the node has one
already; one that had to be made is kept for the node, as the API allows few (protocol reefguide.md, section 3.5).
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from job_item.errors import Fault
from job_item.reefcalls import Bearer, Calls, is_bearer_refused, text_of
from job_item.reeftokens import FILE, Store, Tokens, life_of, owner_of

if TYPE_CHECKING:
    from job_item.reefspec import ReefGuide

ANSWER_S = 10.0
SECTION = "reefguide"


class Refused(Exception):  # noqa: N818 - carries a verdict
    """The API does not let this node in: why, as a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def look(settings: ReefGuide, state_dir: Path) -> tuple[Fault, ...]:
    """Ask for what each poll asks for; a fault for what is wrong, none where all is well."""
    calls = Calls(settings.api_endpoint, min(ANSWER_S, settings.request_timeout))
    visitor = Visitor(settings, calls, state_dir)
    try:
        return tuple(fault for name in settings.job_types if (fault := visitor.judge(name)) is not None)
    except Refused as refused:
        return (refused.fault,)
    except requests.RequestException as error:
        message = f"{settings.api_endpoint} cannot be reached, or does not answer: {_reason(error)}."
        return (Fault("ERR-RFG-004", message, path=SECTION),)
    finally:
        calls.close()


class Visitor:
    """Asks the API as the node would; logs in once at most."""

    def __init__(self, settings: ReefGuide, calls: Calls, state_dir: Path) -> None:
        self._settings = settings
        self._calls = calls
        self._file = state_dir / FILE
        self._store = Store(self._file, owner_of(settings.username, settings.api_endpoint))
        self._bearer = Bearer(calls, self._store)
        self._made: str | None = None

    def judge(self, job_type: str) -> Fault | None:
        """Whether jobs of a type can be had. Raises `Refused`, RequestException."""
        answer = self._poll(job_type, self._token(None))
        if is_bearer_refused(answer):
            answer = self._poll(job_type, self._token(answer.request.headers["Authorization"].removeprefix("Bearer ")))
        if answer.status_code == 200:
            return None
        if answer.status_code == 401:
            raise _refused("ERR-RFG-006", f"The API says to {self._settings.username}: {_said(answer)}")
        if answer.status_code == 400:
            return Fault("ERR-RFG-001", f"The API does not know the job type {job_type}.", path=f"{SECTION}.job_types")
        raise _refused("ERR-RFG-004", f"A poll was answered with {_said(answer)}")

    def _poll(self, job_type: str, token: str) -> requests.Response:
        return self._calls.ask("GET", "/api/jobs/poll", token, query={"jobType": job_type})

    def _token(self, refused: str | None) -> str:
        token = self._made if self._made not in (None, refused) else self._bearer.token(refused)
        return token if token is not None else self._log_in()

    def _log_in(self) -> str:
        settings = self._settings
        wait_s = self._store.load(time.time()).login_wait_s(time.time())
        if wait_s > 0:
            raise _refused("ERR-RFG-007", f"The next log-in may be tried in {wait_s:.0f} s", is_passing=True)
        user = {"email": settings.username, "password": settings.password.get_secret_value()}
        answer = self._calls.ask("POST", "/api/auth/login", body=user)
        access = text_of(answer, "token") if answer.ok else None
        if access is not None and self._made is None:
            self._made = access
            self._keep(Tokens.given(access, life_of(access), text_of(answer, "refreshToken"), time.time()))
            return access
        if answer.status_code == 429:
            raise _refused("ERR-RFG-007", f"A log-in was answered with {_said(answer)}", is_passing=True)
        code = "ERR-RFG-005" if answer.status_code in (200, 400, 401) else "ERR-RFG-004"
        raise _refused(code, f"A log-in of {settings.username} was answered with {_said(answer)}")

    def _keep(self, tokens: Tokens) -> None:
        """Leave them to the node; where it has no folder yet they are of no use to it."""
        if self._file.parent.is_dir():
            with suppress(OSError):
                self._store.save(tokens)


def _refused(code: str, message: str, *, is_passing: bool = False) -> Refused:
    return Refused(Fault(code, message.rstrip(".") + ".", path=SECTION, warning=is_passing))


def _said(answer: requests.Response) -> str:
    told = text_of(answer, "message") or text_of(answer, "error") or ""
    return f"{answer.status_code} {told or answer.reason}".strip()


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS fails"
    return "no connection, or it broke off"
