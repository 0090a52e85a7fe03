"""Users, tokens and the limiter of log-ins (protocol reefguide.md, section 3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from examples.reefguide.api.answers import Answer, Refusal, domain, misfit, unauthorized

_KEY = b"the private key of a stand-in"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass
class User:
    """One user of the API."""

    id: int
    email: str
    password: str
    roles: list[str]


@dataclass
class Accounts:
    """Who may come in. Times are in seconds; the defaults are those of the API."""

    users: list[User] = field(default_factory=list)
    access_life_s: float = 600.0
    refresh_life_s: float = 48 * 3600.0
    login_limit: int = 5
    login_window_s: float = 900.0

    def __post_init__(self) -> None:
        self._refresh: dict[str, tuple[int, int, float]] = {}
        self._attempts: list[float] = []
        self._revoked_before = 0.0
        self._lock = threading.Lock()

    def add(self, email: str, password: str, *roles: str) -> User:
        """Add a user."""
        user = User(len(self.users) + 1, email, password, list(roles))
        self.users.append(user)
        return user

    def revoke_all(self, for_s: float = 0.0) -> None:
        """Let no access token count that was made until now, or until `for_s` from now; refresh tokens stay."""
        self._revoked_before = time.time() + for_s

    def forget_refresh_tokens(self) -> None:
        """Let no refresh token count any more."""
        with self._lock:
            self._refresh.clear()

    def login(self, body: Any) -> Answer:
        """`POST /auth/login`: the limiter counts what the schema refuses, and what succeeds, too."""
        self._limit()
        email, password = (body.get("email"), body.get("password")) if isinstance(body, dict) else (None, None)
        if not isinstance(email, str) or not _EMAIL.fullmatch(email):
            raise misfit("Body", ("invalid_string", ("email",), "Invalid email"))
        if not isinstance(password, str):
            raise misfit("Body", ("invalid_type", ("password",), "Required"))
        user = next((user for user in self.users if (user.email, user.password) == (email, password)), None)
        if user is None:
            raise domain(401, "Invalid credentials")
        secret = str(uuid.uuid4())
        with self._lock:
            number = len(self._refresh) + 1
            self._refresh[secret] = (number, user.id, time.time() + self.refresh_life_s)
        refresh = base64.b64encode(json.dumps({"id": number, "token": secret}).encode()).decode()
        return Answer(200, {"token": self._token(user), "refreshToken": refresh})

    def refresh(self, body: Any) -> Answer:
        """`POST /auth/token`: a new access token; the refresh token stays as it is."""
        given = body.get("refreshToken") if isinstance(body, dict) else None
        if not isinstance(given, str):
            raise misfit("Body", ("invalid_type", ("refreshToken",), "Required"))
        try:
            secret = json.loads(base64.b64decode(given, validate=True))["token"]
        except (ValueError, KeyError, TypeError):
            raise domain(401, "Invalid JSON in refresh token") from None
        with self._lock:
            known = self._refresh.get(secret)
        if known is None:
            raise domain(401, "Refresh token is invalid")
        _, user_id, expires_at = known
        if time.time() >= expires_at:
            raise domain(401, "Refresh token has expired")
        return Answer(200, {"token": self._token(next(user for user in self.users if user.id == user_id))})

    def authorize(self, header: str | None, *roles: str) -> User:
        """Who sends a request, if he has one of `roles`."""
        claims = self._claims((header or "").removeprefix("Bearer "))
        if claims is None or claims["exp"] <= time.time() or claims["made"] < self._revoked_before:
            raise unauthorized()
        user = next((user for user in self.users if user.id == claims["id"]), None)
        if user is None:
            raise unauthorized()
        if not {*roles, "ADMIN"} & set(user.roles):
            raise domain(401, "You are not authorised to access this service.")
        return user

    def _limit(self) -> None:
        now = time.monotonic()
        with self._lock:
            self._attempts = [moment for moment in self._attempts if moment + self.login_window_s > now]
            if len(self._attempts) >= self.login_limit:
                wait_s = math.ceil(self._attempts[0] + self.login_window_s - now)
                raise Refusal(Answer(429, {"error": "Too many attempts."}, (("Retry-After", str(wait_s)),)))
            self._attempts.append(now)

    def _token(self, user: User) -> str:
        now = time.time()
        claims = {
            "id": user.id,
            "email": user.email,
            "roles": user.roles,
            "iat": int(now),
            "exp": int(now + self.access_life_s),
            "iss": "http://stand-in",
            "made": now,
        }
        head = f"{_encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': 'main'})}.{_encoded(claims)}"
        return f"{head}.{_signature(head)}"

    def _claims(self, token: str) -> dict[str, Any] | None:
        head, _, signature = token.rpartition(".")
        if not head or not hmac.compare_digest(_signature(head), signature):
            return None
        raw = head.partition(".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
        return claims


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _signature(head: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(_KEY, head.encode(), hashlib.sha256)).decode().rstrip("=")
