"""Settings of a node with a Job Manager: what it has to say is asked for, or what it said last is taken.

The last good answer is used while it is away. Where it refuses this node, or answers what cannot be used, that answer
counts only in a node that runs with it already: no is an answer, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from job_item.check import check
from job_item.connections import is_secure
from job_item.errors import NodeError, SettingsError, Unavailable
from job_item.load import Loaded, load
from job_item.manager.answer import Answer
from job_item.manager.kept import Shelf
from job_item.manager.question import ask_bundle, ask_settings
from job_item.manager.supply import Supply
from job_item.quantity import Unfit


@dataclass(frozen=True, slots=True)
class Wish:
    """How the Job Manager is to be asked.

    `asks`: for an answer of now; else the last one will do where there is one. `asks_bundle`: for its certificates too,
    though there are some. `is_settled`: the node runs with its last answer and the same credentials. `is_dry`: nothing
    is kept.
    """

    asks: bool = True
    asks_bundle: bool = True
    is_settled: bool = False
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings are read: as `job_item.load.load` takes them."""

    path: Path | None
    environ: Mapping[str, str]
    instead: Path | None = None

    def load(self, supply: Supply | None = None) -> Loaded:
        """Read them. Raises SettingsError."""
        return load(self.path, self.environ, self.instead, supply)


def load_managed(source: Source, wish: Wish) -> Loaded:
    """Load settings, with those of the Job Manager where the node has one.

    Raises SettingsError (the node's own), Unavailable or NodeError (ERR-MGR: the Job Manager, and no last answer).
    """
    local = source.load()
    if not local.settings.end_point:
        return local
    shelf = shelf_of(local)
    kept = shelf.read()
    if not wish.asks and kept is not None and (found := _with(source, kept)) is not None:
        return found
    with _place_of_bundles(shelf, wish) as bundles:
        try:
            return _usable(source, _ask(local, bundles, kept, wish))
        except NodeError as error:
            is_away = isinstance(error, Unavailable)
            found = None
            if kept is not None and (is_away or wish.is_settled):
                found = _with(source, replace(kept, code=error.code, failure=error.message, has_been_asked=True))
            if found is None:
                raise
            return found


def load_kept(source: Source) -> Loaded:
    """Load settings with the last answer of the Job Manager, if there is one; nobody is asked. Raises SettingsError."""
    local = source.load()
    kept = shelf_of(local).read() if local.settings.end_point else None
    return (_with(source, kept) if kept is not None else None) or local


def keep(loaded: Loaded) -> NodeError | None:
    """Keep the answer that these settings were made with, now that they are known to be good; why that failed."""
    if loaded.supply is None or not loaded.supply.is_new:
        return None
    try:
        shelf_of(loaded).keep(loaded.supply)
    except NodeError as error:
        return error
    return None


def shelf_of(loaded: Loaded) -> Shelf:
    """Where the answers for this node are kept."""
    settings = loaded.settings
    return Shelf(loaded.state_dir, settings.end_point, settings.credential.project_id)


def _usable(source: Source, supply: Supply) -> Loaded:
    """Settings with a new answer. Raises NodeError (ERR-MGR-003) where it cannot be used, SettingsError."""
    try:
        loaded = source.load(supply)
        faults = tuple(fault for fault in check(loaded) if not fault.warning)
        if faults:
            raise SettingsError(faults)
    except SettingsError as error:
        refuse_own(source)
        told = "; ".join(f"{fault} ({fault.code})" for fault in error.faults[:3])
        raise NodeError("ERR-MGR-003", f"The answer of the Job Manager cannot be used: {told}.") from error
    return loaded


def refuse_own(source: Source) -> None:
    """Raise SettingsError where the node's own settings are wrong, without any answer of others."""
    faults = tuple(fault for fault in check(source.load()) if not fault.warning)
    if faults:
        raise SettingsError(faults)


def _with(source: Source, kept: Supply) -> Loaded | None:
    """Settings with an answer that was good before; None where it is not any more."""
    try:
        return source.load(kept)
    except SettingsError:
        return None


def _ask(local: Loaded, bundles: Path, kept: Supply | None, wish: Wish) -> Supply:
    """Raises NodeError. Where no certificates are to be had, those that somebody put in their place will do."""
    settings = local.settings
    answer = ask_settings(settings)
    supply = Supply(settings.end_point, answer, time.time(), is_new=not wish.is_dry)
    if not wants_bundle(answer):
        return supply
    folder = _folder_in_use(answer, kept)
    if folder is not None and not wish.asks_bundle:
        return replace(supply, bundle=folder)
    from job_item.manager.bundle import unpack  # it costs every child memory, and few nodes use it

    try:
        return replace(supply, bundle=unpack(ask_bundle(settings), bundles, folder))
    except NodeError as error:
        if folder is None and not (local.config_path.parent / str(answer.broker["ca_file"])).is_file():
            raise
        return replace(supply, bundle=folder, code=error.code, failure=error.message)


def wants_bundle(answer: Answer) -> bool:
    """Whether the certificates of the broker come from the Job Manager (protocol job-item.md, section 2.7)."""
    try:
        return bool(answer.broker.get("ca_file")) and is_secure(answer.broker.get("secure") or "")
    except Unfit:
        return False


def _folder_in_use(answer: Answer, kept: Supply | None) -> Path | None:
    """The certificates that were fetched for the same connection before."""
    if kept is None or kept.bundle is None or not kept.bundle.is_dir():
        return None
    is_same = all(kept.answer.broker.get(key) == answer.broker.get(key) for key in ("type", "ca_file"))
    return kept.bundle if is_same else None


@contextmanager
def _place_of_bundles(shelf: Shelf, wish: Wish) -> Iterator[Path]:
    if not wish.is_dry:
        yield shelf.bundles
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="job_item-") as folder:
        yield Path(folder)


def explain(loaded: Loaded) -> str:
    """What the Job Manager has said of this node, in one sentence."""
    assert loaded.supply is not None  # noqa: S101 - who asks knows
    answer = loaded.supply.answer
    known = sum(job.event in answer.events for job in loaded.settings.jobs)
    name = f" for project {answer.project!r}" if answer.project else ""
    broker = answer.broker.get("type")
    return f"The Job Manager answers{name}: broker {broker}, {known} of {len(loaded.settings.jobs)} jobs registered."
