"""What two versions of the settings differ in, and what each difference takes to come into force. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import SecretStr

from job_item.link import ChildStart
from job_item.reload import Change, Effect
from supervisor.tables import Room

FIXED: Mapping[Room, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        Room.WORKER: (
            ("api", "host"),
            ("api", "port"),
            ("api", "token"),
            ("api", "url"),
            ("state_dir",),
            ("work_dir",),
            ("sync",),
            ("identity_id",),
            ("end_point",),
            ("credential", "project_id"),
            ("credential", "secret_key"),
            ("uuid",),
            ("broker_connection",),
        ),
        Room.EXECS: (("state_dir",),),
    }
)
"""What a child cannot take over in place, because its life is built on it; everything else it can."""
_REPLACED: Mapping[Room, Effect] = MappingProxyType(
    {Room.WORKER: "restarts the job child", Room.EXECS: "restarts the execs child"}
)
_KEYS = (("jobs", "event"), ("execs", "key"))
"""Lists whose entries have names."""

Kind = Literal["added", "removed", "changed"]
Path = tuple[str, ...]

_SEEN_BY_EXECS: tuple[Path, ...] = (
    ("api", "url"),
    ("api", "token"),
    ("credential", "project_id"),
    ("uuid",),
    (".env",),
    ("pass_env",),
)
"""What the environment of every exec is made of, besides its own (`execs.commands`)."""


def digest_of(start: ChildStart) -> str:
    """The digest of everything that makes the settings what they are: 16 hexadecimal digits."""
    outcome = [str(start.state_dir), str(start.work_dir), start.identity, _events(start)]
    return _digest([start.settings.model_dump(by_alias=True), dict(start.dotenv), outcome])


def fixed_of(start: ChildStart) -> Mapping[Room, str]:
    """For each room the digest of what its child cannot take over in place."""
    tree = _tree(start)
    return {room: _digest([_at(tree, path) for path in FIXED[room]]) for room in FIXED}


def changes(old: ChildStart, new: ChildStart) -> tuple[Change, ...]:
    """All differences by their paths, never with values; an entry that came or went as a whole is one change."""
    found = _differ(_tree(old), _tree(new), ())
    return tuple(
        Change(".".join(path), kind, effect) for path, kind in found for effect in _effects(path, kind, old, new)
    )


def _tree(start: ChildStart) -> dict[str, Any]:
    """The settings as they work here: folders, identity and address as they came out, list entries by their names."""
    tree = start.settings.model_dump(by_alias=True)
    for name, key in _KEYS:
        tree[name] = {entry[key]: entry for entry in tree[name]}
    tree["api"]["url"] = start.base_url
    outcome = {"state_dir": str(start.state_dir), "work_dir": str(start.work_dir), "identity_id": start.identity}
    registered = _events(start)
    tree["manager"] |= {} if registered is None else {"events": registered}
    return {**tree, **outcome, ".env": dict(start.dotenv)}


def _events(start: ChildStart) -> dict[str, Any] | None:
    """The events that the Job Manager knows, each with its bounds as one value."""
    if start.registered is None:
        return None
    return {event: [bounds.limit, bounds.timeout_s] for event, bounds in start.registered.items()}


def _differ(before: object, after: object, path: Path) -> Iterator[tuple[Path, Kind]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*before, *(key for key in after if key not in before)):
            if key not in before:
                yield (*path, key), "added"
            elif key not in after:
                yield (*path, key), "removed"
            else:
                yield from _differ(before[key], after[key], (*path, key))
    elif before != after:
        yield path, "changed"


def _effects(path: Path, kind: Kind, old: ChildStart, new: ChildStart) -> Iterator[Effect]:
    """What it takes to bring one difference into force; the state folder is built on by both children."""
    replaced: list[Effect] = [
        _REPLACED[room] for room, fixed in FIXED.items() if any(path[: len(start)] == start for start in fixed)
    ]
    if not old.settings.execs and len(replaced) > 1:
        replaced.remove(_REPLACED[Room.EXECS])
    if old.settings.execs and any(path[: len(start)] == start for start in _SEEN_BY_EXECS):
        replaced.append("restarts the execs that see it")
    if replaced:
        yield from replaced
    elif path[0] == "execs" and (kind == "changed" or len(path) > 2) and _is_run_anew(path, old, new):
        yield "restarts the exec"
    else:
        yield "in place"


def _is_run_anew(path: Path, old: ChildStart, new: ChildStart) -> bool:
    """Whether this difference of an exec is one of what its command is started with."""
    before, after = (next(entry for entry in start.settings.execs if entry.key == path[1]) for start in (old, new))
    one = before.model_copy(update={path[2]: getattr(after, path[2])})
    return one.run_part() != before.run_part()


def _at(tree: object, path: Path) -> object:
    for part in path:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _digest(content: object) -> str:
    text = json.dumps(content, default=_reveal, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _reveal(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else repr(value)
