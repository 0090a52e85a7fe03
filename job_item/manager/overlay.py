"""The Job Manager's answer as a layer of the settings, laid over and under what the node says itself. Pure.

Protocol job-item.md, section 2.5: `broker_connection`, version and link are always the answer's, also where it has
none; everything else counts where the node itself says nothing. Which broker is used is the answer's to say; how jobs
are kept there (`delivery` and what belongs to it) is the node's, as no answer has a word for it. Commands are taken
only where the node allows it (section 9.2, R8).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from job_item.findings import Finding
from job_item.layers import Layer, leaves
from job_item.manager.answer import Answer
from job_item.manager.supply import Supply
from job_item.tlsfiles import LAYOUT
from job_item.yamlfile import KeyPath, Tree

BROKER = "broker_connection"
_ALWAYS = (BROKER, "job_item_version_number", "job_item_link")
_OWN = ("delivery", "lease", "dedupe", "consumer_timeout")
"""What of `broker_connection` is the node's own."""
_ONLY_OF = {"consumer_timeout": "rabbitmq"}
"""With which kind of broker it says something, where that is one."""
_FILES = ("ca_file", "cert_file", "key_file")
_NAMES_MAX = 10
_YES = ("true", "yes", "on", "1", "t", "y")


def overlay(layer: Layer, supply: Supply | None, folder: Path) -> tuple[list[Finding], list[Finding]]:
    """Change `layer` as the answer wants it; without a supply nothing is known yet, and the node's own broker is gone.

    `folder` is that of the configuration. Returns faults of the answer, and what people are to be warned of.
    """
    doubts = list(_ignored(layer))
    said = _said_of_delivery(layer)
    for key in _ALWAYS:
        _take_away(layer, key)
    if supply is None:
        return [], doubts
    answer = supply.answer
    faults: list[Finding] = []
    if not answer.broker:
        faults.append(Finding((BROKER,), "ERR-CFG-006", "the answer names no broker to take jobs from"))
    broker, wrong = _located(answer.broker, supply.bundle, folder)
    faults += wrong
    for key, value in (
        (BROKER, dict(broker)),
        ("job_item_version_number", str(answer.version_number) if answer.version_number else None),
        ("job_item_link", answer.link or None),
    ):
        _put(layer, key, value, supply.origin)
    _keep(layer, said)
    for key, text in (("uuid", answer.uuid), ("job_item_version", answer.version)):
        if not layer.get((key,)):
            _put(layer, key, text or None, supply.origin)
    doubts += _commands(layer, answer, supply.origin)
    return faults, doubts


def _ignored(layer: Layer) -> Iterator[Finding]:
    broker = layer.get((BROKER,))
    if broker is not None and not (isinstance(broker, dict) and broker and broker.keys() <= set(_OWN)):
        yield Finding((BROKER,), "ERR-MGR-009", "the Job Manager says which broker is used; this one is not")


def _said_of_delivery(layer: Layer) -> dict[str, tuple[Tree, str | None]]:
    """What the node itself says of how jobs are kept: value and origin by key."""
    broker = layer.get((BROKER,))
    if not isinstance(broker, dict):
        return {}
    return {key: (broker[key], layer.origins.get((BROKER, key))) for key in _OWN if broker.get(key) is not None}


def _keep(layer: Layer, said: dict[str, tuple[Tree, str | None]]) -> None:
    """Put what the node says of delivery into the answer's section, as far as this kind of broker knows it."""
    broker = layer.get((BROKER,))
    if not isinstance(broker, dict) or not broker:
        return
    for key, (value, origin) in said.items():
        if _ONLY_OF.get(key, broker.get("type")) != broker.get("type"):
            continue
        broker[key] = value
        if origin is not None:
            layer.origins[BROKER, key] = origin


def _commands(layer: Layer, answer: Answer, origin: str) -> Iterator[Finding]:
    """Take jobs and execs of the answer where the node has none and allows it; else say that they are refused."""
    allows = str(layer.get(("allow_remote_commands",)) or "").lower() in _YES
    for key, entries in (("jobs", answer.jobs), ("execs", answer.execs)):
        if not entries or layer.get((key,)):
            continue
        if allows:
            _put(layer, key, entries, origin)
        else:
            message = f"commands of the Job Manager are refused: {_names(entries)}"
            yield Finding((key,), "ERR-MGR-004", message)


def _names(entries: list[Tree]) -> str:
    names = [_name(entry) for entry in entries]
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return ", ".join(names[:_NAMES_MAX]) + more


def _name(entry: Tree) -> str:
    found = (entry.get(key) for key in ("event", "key", "name")) if isinstance(entry, dict) else ()
    name = next((text for text in found if isinstance(text, str) and text), "?")
    return repr(name[:60])


def _located(broker: dict[str, Tree], bundle: Path | None, folder: Path) -> tuple[dict[str, Tree], list[Finding]]:
    """The broker's section with the places of its certificates: in the bundle, else beside the configuration.

    The bundle stands for the folder of `ca_file` (protocol, section 2.7). A path that leaves the folder of the
    configuration is refused: a server does not choose files of this machine.
    """
    located, faults = dict(broker), []
    base = _folder_of(broker.get("ca_file"))
    for key in _FILES:
        name = broker.get(key)
        if not isinstance(name, str) or not name:
            located.pop(key, None)
            continue
        parts = _parts(name)
        if parts is None:
            faults.append(
                Finding((BROKER, key), "ERR-MGR-005", "the path leads out of the folder of the configuration")
            )
            located.pop(key)
            continue
        inner = (
            bundle.joinpath(*parts[len(base) :]) if bundle and base is not None and parts[: len(base)] == base else None
        )
        located[key] = str(inner if inner is not None and inner.is_file() else folder.joinpath(*parts))
    if bundle is not None and not located.get("cert_file") and not located.get("key_file"):
        located |= _client_of(bundle, broker.get("type"))
    return located, faults


def _client_of(bundle: Path, kind: Tree) -> dict[str, Tree]:
    """The client's certificate and key, where the bundle has them under their usual names."""
    layout = LAYOUT.get(kind) if isinstance(kind, str) else None
    found = {key: bundle / layout[key] for key in ("cert_file", "key_file")} if layout else {}
    return {key: str(file) for key, file in found.items()} if found and all(map(Path.is_file, found.values())) else {}


def _folder_of(name: Tree) -> list[str] | None:
    parts = _parts(name) if isinstance(name, str) else None
    return None if parts is None else parts[:-1]


def _parts(name: str) -> list[str] | None:
    """The parts of a relative path that stays where it is; None for any other."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    is_bad = name.startswith(("/", "\\", "~")) or ".." in parts or not parts or not name.isprintable() or ":" in name
    return None if is_bad else parts


def _take_away(layer: Layer, key: str) -> None:
    layer.tree.pop(key, None)
    for path in [path for path in layer.origins if path[0] == key]:
        del layer.origins[path]


def _put(layer: Layer, key: str, value: Tree, origin: str) -> None:
    _take_away(layer, key)
    if value is None:
        return
    layer.tree[key] = value
    here: KeyPath = (key,)
    layer.origins |= {(*here, *path): origin for path, _ in leaves(value)}
    layer.origins.setdefault(here, origin)
