"""Who may ask: nodes show project id and key, scripts the key, people a password."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from examples.job_manager.settings import Settings

REALM = {"WWW-Authenticate": 'Basic realm="Job Manager"'}


@dataclass(frozen=True)
class Gate:
    """Raises `HTTPException` at whoever may not pass."""

    settings: Settings

    def pass_node(self, project_id: object, secret: object) -> None:
        """A node that shows its credential."""
        project = self.settings.project
        if not (_same(project_id, project.id) & _same(secret, project.key)):
            raise HTTPException(403, "unknown project or wrong key")

    def pass_script(self, request: Request) -> None:
        """A job's script, which shows the project's key."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not _same(key.strip(), self.settings.project.key):
            raise HTTPException(401, "unknown project key")

    def pass_person(self, request: Request) -> None:
        """A person (user `admin`). What changes something comes as JSON, which no foreign page can send for him."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            user, password = "", ""
        if scheme.lower() != "basic" or not (_same(user, "admin") & _same(password, self.settings.password)):
            raise HTTPException(401, "wrong password", REALM)
        if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
            raise HTTPException(415, "only JSON is taken")


def _same(shown: object, right: str) -> bool:
    return isinstance(shown, str) and secrets.compare_digest(shown.encode(), right.encode())
