"""From settings to the handlers that they ask for: which are to be loaded, what is wrong with them, which jobs follow.

Loading is done in a process of its own (`job_item.handlers.inspection`), and only where there is anything to load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

from job_item.environ import base_environment
from job_item.errors import Fault
from job_item.handlers.inspection import examine
from job_item.handlers.roster import ENTRY_POINTS, Roster, Trouble
from job_item.load import Loaded
from job_item.settings import Job
from job_item.sign import signs
from job_item.yamlfile import KeyPath, dotted, nearest


def audition(loaded: Loaded, environ: Mapping[str, str]) -> Loaded:
    """Look at the handlers of these settings, and add a job for each marked or polled type that has none.

    Takes as long as the imports do. Raises nothing: what is wrong stands in `cast_faults`.
    """
    settings = loaded.settings
    known = {job.event for job in settings.jobs}
    polled = [name for name in (settings.reefguide.job_types if settings.reefguide else ()) if name not in known]
    named = (job.handler for job in settings.jobs if job.handler is not None)
    roster = Roster(
        folder=str(loaded.config_path.parent),
        sources=settings.handlers,
        wanted=tuple(dict.fromkeys((*named, *polled))),
        entry_points=bool(entry_points(group=ENTRY_POINTS)),
    )
    if not roster:
        return loaded
    cast, troubles = examine(roster, base_environment(environ, loaded.dotenv, settings.pass_env))
    unserved = {trouble.source for trouble in troubles if trouble.code == "ERR-HND-004"} & set(polled)
    marked = dict.fromkeys((*cast.types, *polled))
    added = tuple(Job(event=name, handler=name) for name in marked if name not in known and name not in unserved)
    return replace(
        loaded,
        settings=settings.model_copy(update={"jobs": settings.jobs + added}),
        files={**loaded.files, **signs([*_sources(roster), *cast.files])},
        cast=cast,
        # A type that is polled and that nothing serves is told where it is asked for (`job_item.check`).
        cast_faults=tuple(_fault(loaded, trouble) for trouble in troubles if trouble.source not in unserved),
    )


def _sources(roster: Roster) -> Iterator[str]:
    """The files that are named: to be watched even where they cannot be loaded just now."""
    for source in roster.sources:
        if source.endswith(".py"):
            yield str(Path(roster.folder, source))


def _fault(loaded: Loaded, trouble: Trouble) -> Fault:
    """Say where in the settings something that is wrong was asked for."""
    key = _key_of(loaded, trouble.source)
    place = nearest(loaded.places, key)
    line = place.line if place else None
    return Fault(trouble.code, trouble.message, str(loaded.config_path), line, dotted(key) or None, trouble.remedy)


def _key_of(loaded: Loaded, source: str) -> KeyPath:
    settings = loaded.settings
    for index, name in enumerate(settings.handlers):
        if name == source:
            return "handlers", index
    for index, job in enumerate(settings.jobs):
        if job.handler == source:
            return "jobs", index, "handler"
    return ("handlers",)
