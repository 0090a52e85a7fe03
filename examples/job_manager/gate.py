"""Who may ask: nodes show project id and key, scripts the key, people a password. All raise `HTTPException`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer

from examples.job_manager.settings import Settings


@dataclass(frozen=True)
class Gate:
    """The keeper of it."""

    settings: Settings

    def node(self, project_id: object, secret: object) -> None:
        """A node that shows its credential."""
        project = self.settings.project
        if not (_same(project_id, project.id) & _same(secret, project.key)):
            raise HTTPException(403, "unknown project or wrong key")

    def script(self, shown: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
        """A job's script, which shows the project's key."""
        if not _same(shown.credentials, self.settings.project.key):
            raise HTTPException(401, "unknown project key")

    def person(self, request: Request, shown: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> None:
        """A person (user `admin`). What changes something comes as JSON, which no foreign page can send for him."""
        if not (_same(shown.username, "admin") & _same(shown.password, self.settings.password)):
            raise HTTPException(401, "wrong password", {"WWW-Authenticate": "Basic"})
        if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
            raise HTTPException(415, "only JSON is taken")


def _same(shown: object, right: str) -> bool:
    return isinstance(shown, str) and secrets.compare_digest(shown.encode(), right.encode())
