"""A new configuration file: its text, with comments, and how it comes to its place."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from job_item.check import check
from job_item.errors import NodeError, SettingsError
from job_item.load import load
from job_item.nodespec import Api

EXISTS = "ERR-CFG-027"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the new file shall say. Of each secret either the text is given or the file that holds it, or neither."""

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    token_file: str = ""
    project_id: str = ""
    secret: str = ""
    secret_file: str = ""
    event: str = "hello"
    command: str = 'echo "Hello, {{name}}."'

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach the API."""
        return not Api.model_construct(host=self.host).is_loopback

    @property
    def has_secret(self) -> bool:
        """Whether the file itself holds a secret."""
        return bool(self.token or self.secret)


def complete(wish: Wish) -> Wish:
    """Add a token, made by chance, where the API is open to other machines and none was given."""
    if wish.is_open and not (wish.token or wish.token_file):
        return replace(wish, token=secrets.token_urlsafe(32))
    return wish


def text_of(wish: Wish) -> str:
    """The file, with comments that say what each part is for."""
    return "\n".join((*_head(), *_api(wish), *_credential(wish), *_jobs(wish), *_more())) + "\n"


def write_config(path: Path, wish: Wish, environ: Mapping[str, str], *, force: bool = False) -> None:
    """Write the file, whole or not at all; for its owner only where it holds a secret.

    Raises `SettingsError` where the node could not run with it, `NodeError` (ERR-CFG-027) where there is a file already
    and not `force`, and ERR-CFG-001 where it cannot be written. Nothing has changed then.
    """
    refuse_existing(path, force=force)
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        _fill(draft, text_of(wish), 0o600 if wish.has_secret else 0o644)
        _prove(draft, path, environ)
        if force:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # unlike a renaming, fails where a file has come meanwhile
    except FileExistsError as error:
        raise NodeError(EXISTS, f"{path} exists already.") from error
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror}."
        raise NodeError("ERR-CFG-001", reason, "Choose another place.") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `NodeError` (ERR-CFG-027) where there is something already that must not be replaced."""
    if os.path.lexists(path) and not force:
        raise NodeError(EXISTS, f"{path} exists already.")


def _fill(draft: Path, text: str, mode: int) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _prove(draft: Path, path: Path, environ: Mapping[str, str]) -> None:
    """Raise `SettingsError` with the faults that the file would have in its place."""
    try:
        faults = check(load(draft, environ))
    except SettingsError as error:
        faults = error.faults
    wrong = tuple(
        replace(fault, file=str(path) if fault.file == str(draft) else fault.file)
        for fault in faults
        if not fault.warning
    )
    if wrong:
        raise SettingsError(wrong)


def _head() -> list[str]:
    return [
        "# The settings of a job_item node. `job_item check` finds mistakes, `job_item config show` tells what is in",
        "# force, docs/settings.md explains every key. What is left out has a sensible default.",
        "",
    ]


def _api(wish: Wish) -> list[str]:
    lines = ["# Where the local HTTP API listens. Anything but a loopback address needs a token.", "api:"]
    lines += [f"  host: {_quoted(wish.host)}", f"  port: {wish.port}"]
    if wish.token_file:
        lines += [f"  token_file: {_quoted(wish.token_file)}  # callers send it as `Authorization: Bearer TOKEN`"]
    elif wish.token:
        lines += [f"  token: {_quoted(wish.token)}  # callers send it as `Authorization: Bearer TOKEN`"]
    return [*lines, ""]


def _credential(wish: Wish) -> list[str]:
    if not (wish.project_id or wish.secret or wish.secret_file):
        return []
    lines = ["# The project; jobs get id and key as JOB_ITEM_PROJECT_ID and JOB_ITEM_PROJECT_KEY.", "credential:"]
    if wish.project_id:
        lines += [f"  project_id: {_quoted(wish.project_id)}"]
    if wish.secret_file:
        lines += [f"  secret_key_file: {_quoted(wish.secret_file)}"]
    elif wish.secret:
        lines += [f"  secret_key: {_quoted(wish.secret)}"]
    return [*lines, ""]


def _jobs(wish: Wish) -> list[str]:
    return [
        "# What can be asked of this node. `{{name}}` is a member of the job's data, quoted for its place.",
        f"# Try it: job_item submit {wish.event} name=Ada --wait",
        "jobs:",
        f"  - event: {_quoted(wish.event)}",
        f"    cmd: {_command(wish.command)}",
        "    # timeout: 5m",
        "    # retries: {attempts: 3, backoff: 10s}",
        "",
    ]


def _more() -> list[str]:
    return [
        "# Commands that run as long as the node does.",
        "# execs:",
        "#   - key: clock",
        "#     cmd: while true; do date; sleep 60; done",
        "",
        "# limits: {concurrency: 4, queue: 100000}  # how much this node takes on",
        "# keep: {days: 7, jobs: 100000, log_bytes: 1 GiB}  # how long ended jobs and their output stay",
    ]


def _command(text: str) -> str:
    """Text as YAML reads it, in single quotes where double ones would have to be escaped."""
    if '"' in text and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return _quoted(text)


def _quoted(text: str) -> str:
    """Text as YAML reads it in double quotes, which is as JSON does."""
    return json.dumps(text, ensure_ascii=False)
