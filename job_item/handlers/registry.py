"""Loads handlers and knows which duty serves which name; or says all that is wrong with them at once."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from job_item.errors import NodeError
from job_item.handlers.duty import Duty, make_duty, place_of
from job_item.handlers.mark import Mark, all_marks
from job_item.handlers.roster import ENTRY_POINTS, Roster, Trouble
from job_item.handlers.trial import trial

BUILT_IN = (Mark("TEST", trial),)
"""Served where nobody else marks the type."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class Registry:
    """Duties by the names that jobs call them by: the type of a mark, or `module:function`."""

    duties: Mapping[str, Duty] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    """The marked types, those that are built in left out."""
    files: tuple[str, ...] = ()
    """The files of the modules that handlers stand in, and of all others below the roster's folder."""
    troubles: tuple[Trouble, ...] = ()


def load(roster: Roster) -> Registry:
    """Import what the roster names, and make duties of all marks and of what it wants. Raises nothing."""
    troubles: list[Trouble] = []
    _add_to_path(roster.folder)
    marks: list[Mark] = []
    for source in roster.sources:
        _attempt(troubles, source, partial(_import, source, roster.folder))
    for entry in entry_points(group=ENTRY_POINTS) if roster.entry_points else ():
        found = _attempt(troubles, f"{ENTRY_POINTS}: {entry.name}", entry.load)
        if callable(found) and all(found is not mark.target for mark in all_marks()):
            marks.append(Mark(entry.name, found))
    functions = {name: _attempt(troubles, name, partial(_find, name)) for name in roster.wanted if ":" in name}
    marks = [*all_marks(), *marks]
    troubles += _duplicates(marks)
    duties: dict[str, Duty] = {}
    types = {mark.type: mark.target for mark in marks}
    for name, target in ({mark.type: mark.target for mark in BUILT_IN} | types | functions).items():
        duty = _attempt(troubles, name, partial(make_duty, target)) if target is not None else None
        if duty is not None:
            duties[name] = duty
    named = {trouble.source for trouble in troubles}
    troubles += [_unknown(name, types) for name in roster.wanted if name not in duties and name not in named]
    files = tuple(sorted({*_files([*types.values(), *functions.values()]), *_files_below(roster.folder)}))
    return Registry(duties, tuple(types), files, tuple(troubles))


def _attempt(troubles: list[Trouble], source: str, do: Callable[[], Any]) -> Any:
    """Run code of authors; what goes wrong becomes a trouble, and None is returned."""
    try:
        return do()
    except NodeError as error:
        troubles.append(Trouble(error.code, error.message, source, error.remedy))
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        message = f"{source} cannot be loaded: {reason}{_line_of(error)}."
        troubles.append(Trouble("ERR-HND-001", message, source, _remedy_of(error)))
    return None


def _remedy_of(error: BaseException) -> str | None:
    """What to do where the register's remedy is too general: a library is often there, but for another Python."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"Correct the name, or install the library for the Python of the node: {sys.executable} -m pip install ..."
        )
    return None


def _line_of(error: BaseException) -> str:
    """Where in the author's file it happened."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file != __file__:
            place = f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        return ""  # its text has the place
    return place


def _add_to_path(folder: str) -> None:
    """Modules beside the configuration can be imported, as those beside a script can."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _import(source: str, folder: str) -> ModuleType:
    """Import a module, or a file by its path. Raises what its code raises, and NodeError (ERR-HND-008)."""
    if not source.endswith(".py") and "/" not in source:
        return importlib.import_module(source)
    path = Path(folder, source).absolute()
    if not path.is_file():
        raise NodeError("ERR-HND-001", f"There is no file {path}.", "Correct its name in `handlers`.")
    name = path.stem
    known = sys.modules.get(name)
    if known is None and path.parent == Path(folder).absolute() and name not in sys.stdlib_module_names:
        return importlib.import_module(name)
    if known is not None and Path(getattr(known, "__file__", None) or "?") == path:
        return known
    if known is not None or name in sys.stdlib_module_names:
        raise NodeError("ERR-HND-008", f"The file {path.name} has the name of the module `{name}`.")
    return _import_file(name, path)


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NodeError("ERR-HND-001", f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _find(name: str) -> Any:
    """The function or class that `module:function` names. Raises NodeError (ERR-HND-004)."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise NodeError("ERR-HND-004", f"There is no `{path}` in the module {module}.")
    return found


def _duplicates(marks: list[Mark]) -> Iterator[Trouble]:
    first: dict[str, Any] = {}
    for mark in marks:
        if mark.type in first:
            places = f"{place_of(first[mark.type])} and {place_of(mark.target)}"
            yield Trouble("ERR-HND-002", f"Two handlers serve the type {mark.type}: {places}.", mark.type)
        first.setdefault(mark.type, mark.target)


def _unknown(name: str, types: Iterable[str]) -> Trouble:
    known = ", ".join(sorted([*types, *(mark.type for mark in BUILT_IN)]))
    return Trouble("ERR-HND-004", f"There is no handler for {name}; there are: {known}.", name)


def _files(targets: Iterable[Any]) -> Iterator[str]:
    for target in targets:
        module = sys.modules.get(getattr(target, "__module__", None) or "")
        file = getattr(module, "__file__", None)
        if file:
            yield str(Path(file).absolute())


def _files_below(folder: str) -> Iterator[str]:
    """What authors have beside the configuration; what is installed there belongs to others."""
    for module in tuple(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(f"{folder}/") and not _INSTALLED.intersection(Path(file).parts):
            yield file
