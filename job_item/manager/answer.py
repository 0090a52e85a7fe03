"""What the Job Manager answers to a node that asks for its settings: read leniently, and only what is ours to use.

Protocol job-item.md, section 2.5. Members that nobody uses are not even kept: some of them are secrets of others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from job_item.errors import NodeError
from job_item.manager.members import Members, lowered, tree_of
from job_item.manager.offer import Offer, offer_of
from job_item.yamlfile import Tree

_NAME = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")
_NAME_MAX = 128
EVENTS_MAX = 10_000
"""So many events are taken of an answer."""
BROKER_MEMBERS = (
    *("type", "key", "name", "host", "port", "servers", "virtual_host", "db"),
    *("auth_type", "user", "password", "token"),
    *("secure", "ca_file", "cert_file", "key_file"),
)
"""What is taken of `broker_connection`. Not `exchange`, which the Go worker, and with it the Job Manager's side, reads
and never uses: who did would speak past it. Not `password_file` and the like: no server names files of ours to send."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How the Job Manager bounds the jobs of an event; 0 is without bound. It counts and times itself."""

    limit: int = 0
    timeout_s: float = 0.0

    def wider(self, other: Registration) -> Registration:
        """What allows as much as either of the two: an event may be registered in several places."""
        limit = 0 if 0 in (self.limit, other.limit) else max(self.limit, other.limit)
        is_endless = 0 in (self.timeout_s, other.timeout_s)
        return Registration(limit, 0.0 if is_endless else max(self.timeout_s, other.timeout_s))


@dataclass(frozen=True, slots=True)
class Answer:
    """What is used of an answer. The trees are as a settings file would have them."""

    uuid: str = ""
    project: str = ""
    """The name of the project, for people."""
    broker: dict[str, Tree] = field(default_factory=dict)
    events: Mapping[str, Registration] = field(default_factory=dict)
    jobs: list[Tree] = field(default_factory=list)
    execs: list[Tree] = field(default_factory=list)
    version_number: int = 0
    version: str = ""
    link: str = ""

    @property
    def offer(self) -> Offer | None:
        """The newer worker that it asks for; None where this one will do."""
        return offer_of(self.version_number, self.version, self.link)


def read_answer(body: bytes) -> Answer:
    """Read the body of an answer. Raises NodeError (ERR-MGR-003)."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _unusable("it is no JSON") from None
    if not isinstance(document, dict):
        raise _unusable("it is no JSON object")
    content = Members(Members(document).get("return"))
    project = Members(content.get("project"))
    uuid = content.text("uuid") or project.text("uuid")
    if uuid and not is_name(uuid):
        raise _unusable("its uuid cannot be part of a subject")
    try:
        return Answer(
            uuid=uuid,
            project=project.text("name")[:_NAME_MAX],
            broker=_broker(content.get("broker_connection")),
            events=_events(project),
            jobs=_commands(content.get("jobs")),
            execs=_commands(content.get("execs")),
            version_number=int(content.number("job_item_version_number")),
            version=content.text("job_item_version")[:_NAME_MAX],
            link=content.text("job_item_link")[:2048],
        )
    except ValueError as error:
        raise _unusable(str(error)) from None


def is_name(text: str) -> bool:
    """Whether a text can be an event or a project: part of a subject."""
    return len(text) <= _NAME_MAX and _NAME.fullmatch(text) is not None


def _broker(content: object) -> dict[str, Tree]:
    members = Members(content)
    found = {name: tree_of(members.get(name)) for name in BROKER_MEMBERS}
    return {name: value for name, value in found.items() if value is not None}


def _events(project: Members) -> dict[str, Registration]:
    """The registered events, nested ones as `parent.child` (protocol, section 3.6)."""
    found: dict[str, Registration] = {}
    for event, registration in _registrations(project):
        if is_name(event) and (event in found or len(found) < EVENTS_MAX):
            found[event] = found[event].wider(registration) if event in found else registration
    return found


def _registrations(project: Members) -> Iterator[tuple[str, Registration]]:
    for entry in project.objects("job_datas"):
        event, bounds = entry.text("event"), Members(entry.get("data"))
        yield event, _registration(bounds, "limit_process")
        for nested in entry.objects("nested_jobs"):
            yield f"{event}.{nested.text('event')}", _registration(nested, "limit")


def _registration(bounds: Members, limit: str) -> Registration:
    return Registration(int(min(bounds.number(limit), 1e9)), bounds.number("timeout"))


def _commands(content: object) -> list[Tree]:
    """Entries of `jobs` or `execs`; the names of their members count in any case, those of variables do not."""
    tree = tree_of(lowered(content, 1)) if isinstance(content, list) else []
    return tree if isinstance(tree, list) else []


def _unusable(why: str) -> NodeError:
    return NodeError("ERR-MGR-003", f"The answer of the Job Manager cannot be used: {why}.")
