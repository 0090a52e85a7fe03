"""The last good answer of the Job Manager, kept in the state folder: used while it is away.

Mode 0600, as it holds the credentials of the broker, and replaced as a whole. It belongs to one address and project.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from job_item.errors import NodeError
from job_item.manager.answer import Answer, Registration
from job_item.manager.supply import Supply

_FILE_NAME = "manager.json"
_FORMAT = 1
_SIZE_MAX_BYTES = 16 << 20
BUNDLES = "tls"
"""The folder of certificates in the state folder."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the answers of one Job Manager for one project are kept."""

    state_dir: Path
    url: str
    project_id: str

    @property
    def bundles(self) -> Path:
        """Where certificates are unpacked."""
        return self.state_dir / BUNDLES

    def read(self) -> Supply | None:
        """What is kept; None where there is nothing that can be used."""
        try:
            with (self.state_dir / _FILE_NAME).open("rb") as stream:
                content = json.loads(stream.read(_SIZE_MAX_BYTES))
            if (content["format"], content["url"], content["project_id"]) != (_FORMAT, self.url, self.project_id):
                return None
            answer = content["answer"]
            events = {event: Registration(**bounds) for event, bounds in answer.pop("events").items()}
            bundle = content["bundle"]
            folder = self.bundles / bundle if bundle else None
            answered_at = float(content["answered_at"])
            return Supply(self.url, Answer(**answer, events=events), answered_at, folder, has_been_asked=False)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def keep(self, supply: Supply) -> None:
        """Keep an answer in place of the one before, whole or not at all. Raises NodeError (ERR-MGR-010)."""
        content = {
            "format": _FORMAT,
            "url": self.url,
            "project_id": self.project_id,
            "answered_at": supply.answered_at,
            "bundle": supply.bundle.name if supply.bundle else None,
            "answer": asdict(supply.answer),
        }
        file = self.state_dir / _FILE_NAME
        draft = file.with_name(f"{_FILE_NAME}.new")
        try:
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(content, stream)
                stream.flush()
                os.fsync(descriptor)
            draft.replace(file)
        except OSError as error:
            message = f"The answer of the Job Manager cannot be kept in {file}: {error.strerror}."
            raise NodeError("ERR-MGR-010", message) from error
