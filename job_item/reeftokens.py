"""The tokens of one user of the ReefGuide API, what they are good for at a moment, and the file that they are kept in
(protocol reefguide.md, section 3).

Moments are seconds since the epoch by this machine's clock: they have to outlive the process. A life is the difference
of two moments of the server, so the two clocks need not agree.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FILE = "reefguide.tokens"
"""The name of the file, in the state folder."""

MARGIN_S = 60.0
"""So long before its end a token is renewed, as the original does it; a short-lived one later, but a second at least,
as tokens count in whole ones."""
LIFE_S = 600.0
"""Of an access token that does not say itself how long it lives."""
REFRESH_LIFE_S = 48 * 3600.0
REFRESH_MARGIN_S = 3600.0
LONGEST_WAIT_S = 3600.0
"""No pause before a log-in is longer, whatever a clock or a server says."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is known; nothing at first."""

    access: str | None = None
    refresh: str | None = None
    renew_at: float = 0.0
    """From when on the access token is not to be used any more."""
    login_at: float = 0.0
    """From when on the refresh token is not to be used any more."""
    held_until: float = 0.0
    """Before this moment nobody logs in."""

    @staticmethod
    def given(access: str, life: tuple[float, float] | None, refresh: str | None, now: float) -> Tokens:
        """Tokens that a log-in brought."""
        return Tokens(refresh=refresh, login_at=now + REFRESH_LIFE_S - REFRESH_MARGIN_S).made(access, life, now)

    def made(self, access: str, life: tuple[float, float] | None, now: float) -> Tokens:
        """With a new access token."""
        life_s = max(life[1] - life[0], 0.0) if life else LIFE_S
        return replace(self, access=access, renew_at=now + life_s - min(MARGIN_S, max(life_s / 4, 1.0)))

    def held_up(self, now: float, wait_s: float) -> Tokens:
        """Without tokens that count, and with a pause before the next log-in."""
        return Tokens(held_until=now + min(wait_s, LONGEST_WAIT_S))

    def is_stale(self, now: float) -> bool:
        """Whether the access token is to be renewed."""
        return now >= self.renew_at

    def may_refresh(self, now: float) -> bool:
        """Whether the refresh token still counts."""
        return self.refresh is not None and now < self.login_at

    def login_wait_s(self, now: float) -> float:
        """How long a log-in has to wait."""
        return min(max(self.held_until - now, 0.0), LONGEST_WAIT_S)

    def members(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self)

    @staticmethod
    def read(members: dict[str, Any], now: float) -> Tokens:
        """From the file. Raises TypeError or ValueError; a clock that was set back makes no token last longer."""
        found = Tokens(**members)
        moments = (found.renew_at, found.login_at, found.held_until)
        if not all(isinstance(moment, (int, float)) for moment in moments):
            raise ValueError("a moment is no number")
        if found.login_at > now + REFRESH_LIFE_S or found.renew_at > now + REFRESH_LIFE_S:
            return Tokens()
        return found


class Store:
    """The file of the tokens, mode 0600; it is of no use to another user or another API.

    Parameter `owner`: whose tokens are meant; None takes those of whoever is in the file.
    """

    def __init__(self, file: Path, owner: str | None) -> None:
        self._file = file
        self._owner = owner

    def load(self, now: float) -> Tokens:
        """What is known of an earlier process; nothing where the file is missing, broken or somebody else's."""
        try:
            content = json.loads(self._file.read_bytes())
            is_meant = self._owner is None or content["owner"] == self._owner
            return Tokens.read(content["tokens"], now) if is_meant else Tokens()
        except (OSError, ValueError, KeyError, TypeError):
            return Tokens()

    def save(self, tokens: Tokens) -> None:
        """Write them down. Raises OSError."""
        written = self._file.with_suffix(".new")
        written.unlink(missing_ok=True)
        written.touch(0o600)
        written.write_text(json.dumps({"owner": self._owner, "tokens": tokens.members()}))
        written.replace(self._file)


def owner_of(username: str, api_endpoint: str) -> str:
    """Whose tokens they are."""
    return f"{username} at {api_endpoint}"


def life_of(access: str) -> tuple[float, float] | None:
    """When a token was made and when it ends, as it says itself; unsigned, as only its server checks it."""
    try:
        raw = access.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
        return float(claims["iat"]), float(claims["exp"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
