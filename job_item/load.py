"""From `config.yaml`, `.env` and the environment to `Settings`, or to one list of all faults.

Order of the layers, lowest first: defaults, `JOB_ITEM_IDENTITY_ID`, the file, `LOG_LEVEL` and `WORKER_ID`; the answer
of a Job Manager lies under them, but for the broker, which is always its own (`job_item.manager.overlay`). Paths in the
settings are relative to the folder of the configuration file; nobody changes directory (protocol job-item.md, sections
1.6 and 9.4, O4). Nothing is created here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from job_item import reefvars
from job_item.dependencies import wrong_dependencies
from job_item.dotenv import parse_dotenv
from job_item.errors import Fault, SettingsError
from job_item.findings import Finding, findings
from job_item.folders import default_state_dir, make_absolute
from job_item.handlers.roster import Cast
from job_item.layers import OF_VARIABLES, Layer, file_layer, leaves, merge, variable_layer
from job_item.manager.answer import Registration
from job_item.manager.overlay import overlay
from job_item.manager.supply import ORIGIN, Supply
from job_item.redact import Redactor, secret_values
from job_item.secretfile import SECRETS, exposed, file_key_of, read_secret_files
from job_item.settings import Settings
from job_item.sign import Sign, signs
from job_item.tlsfiles import find_tls_files
from job_item.yamlfile import Document, KeyPath, Place, Tree, dotted, nearest, parse

_DEFAULT_NAME = "config.yaml"
_SIZE_MAX_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what is known of where they came from.

    `work_dir` is the directory of jobs and of their task files. `dotenv` has the variables that `.env` names, with the
    environment's value where that has one too. `layers` names the source of each setting by its dotted path:
    `default`, `config.yaml:12`, `config.yaml:12, environment TOKEN`, `environment WORKER_ID`. `places` is for messages.
    """

    settings: Settings
    config_path: Path
    work_dir: Path
    state_dir: Path
    dotenv: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Fault, ...] = ()
    layers: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    files: Mapping[str, Sign] = field(default_factory=dict)
    """The files that were read, or would have been: the configuration, `.env`, files of secrets, and of handlers."""
    cast: Cast = Cast()
    """The handlers that were looked at (`job_item.players`), and what is wrong with them."""
    cast_faults: tuple[Fault, ...] = ()
    supply: Supply | None = None
    """What the Job Manager has given, where there is one and it was asked."""

    @property
    def registered(self) -> Mapping[str, Registration] | None:
        """The events that the Job Manager knows; None without one: then every event of this node counts."""
        return None if self.supply is None else self.supply.answer.events

    @property
    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown, those of `.env` with telling names included."""
        return (*self.settings.secrets(), *secret_values(self.dotenv))


def load(
    path: Path | None, environ: Mapping[str, str], instead: Path | None = None, supply: Supply | None = None
) -> Loaded:
    """Read the settings that `path`, else CONFIG_PATH, else `config.yaml` names.

    `instead` is a file whose text is taken for that of the configuration, as if it stood in its place. Where variables
    say all that is needed (`job_item.reefvars`) there may be no file at all. `supply` is what the Job Manager has
    given; without it a node with `end_point` has no broker yet. Raises `SettingsError` with all faults at once, in the
    order of their lines.
    """
    config_path, ignored = _choose(path, environ)
    files = dict(signs((str(config_path), str(config_path.with_name(".env")))))
    dotenv, faults = _read_dotenv(config_path.with_name(".env"), environ)
    document = _read_document(instead or config_path, may_be_absent=_may_be_absent(config_path, environ, dotenv))
    layer, found, doubts = _merge_layers(document, config_path, environ, dotenv, supply)
    files |= signs(file for key in SECRETS if isinstance(file := layer.get(file_key_of(key)), str))
    settings = None
    try:
        settings = Settings.model_validate(layer.tree)
    except ValidationError as error:
        # What a missing variable would have given is not missed a second time.
        unset = {finding.path for finding in found}
        found += [finding for finding in findings(error) if finding.path not in unset]
    else:
        found += wrong_dependencies(settings.execs)
    found += _duplicates(layer.tree, "jobs", ("event",), "ERR-CFG-012")
    found += _duplicates(layer.tree, "execs", ("key", "name"), "ERR-CFG-014")
    faults += [*document.faults, *(_fault(finding, document.places, layer, config_path) for finding in found)]
    if settings is None or faults:
        raise SettingsError(_sorted(faults))
    state_dir, state_origin = default_state_dir(config_path, environ)
    layers = _layers_of(settings, layer)
    if not settings.state_dir:
        layers["state_dir"] = state_origin
    return Loaded(
        settings,
        config_path,
        work_dir=Path(settings.work_dir) if settings.work_dir else config_path.parent,
        state_dir=Path(settings.state_dir) if settings.state_dir else state_dir,
        dotenv={name: value for name, value in dotenv.items() if name not in reefvars.SECRETS},
        warnings=(
            *ignored,
            *_warnings(layer, document.places, config_path),
            *(replace(_fault(doubt, document.places, Layer(), config_path), warning=True) for doubt in doubts),
        ),
        layers=layers,
        places=document.places,
        files=files,
        supply=supply if settings.end_point else None,
    )


def _choose(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, tuple[Fault, ...]]:
    """Choose the file. A node that its variables make poll takes no CONFIG_PATH of another worker for its own
    (promises, part B): that one is ignored, with a warning.
    """
    default = Path(_DEFAULT_NAME).absolute()
    named = environ.get("CONFIG_PATH")
    if path is not None or not named:
        return (default if path is None else path.absolute()), ()
    config_path = Path(named).absolute()
    dotenv, _ = _read_dotenv(default.with_name(".env"), environ)
    if not reefvars.is_switched_on({**dotenv, **environ}):
        return config_path, ()
    try:
        is_ours, why = reefvars.is_ours(_read_text(config_path)), "is no configuration of job_item"
    except OSError as error:
        is_ours, why = False, f"cannot be read: {error.strerror}"
    except ValueError as error:
        is_ours, why = False, f"cannot be read: {error}"
    if is_ours:
        return config_path, ()
    return default, (Fault("ERR-RFG-003", f"CONFIG_PATH is ignored: {named} {why}", str(config_path), warning=True),)


def _may_be_absent(config_path: Path, environ: Mapping[str, str], dotenv: Mapping[str, str]) -> bool:
    """Whether the node can do without this file: it is the one that is taken by default, and variables say enough."""
    return config_path == Path(_DEFAULT_NAME).absolute() and reefvars.is_meant({**dotenv, **environ})


def _read_document(config_path: Path, *, may_be_absent: bool) -> Document:
    """Read the file. Raises `SettingsError` when there is none, as then nothing else is worth saying."""
    try:
        text = _read_text(config_path)
    except FileNotFoundError:
        if may_be_absent:
            return Document()
        remedy = "`job_item init` writes one; option --config or CONFIG_PATH names another."
        raise SettingsError((Fault("ERR-CFG-001", "there is no such file", str(config_path), remedy=remedy),)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError((Fault("ERR-CFG-001", f"cannot be read: {reason}", str(config_path)),)) from None
    return parse(text, str(config_path))


def _read_dotenv(file: Path, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    """Read `.env` where there is one; variables that exist already keep their value (protocol, section 2.3)."""
    try:
        text = _read_text(file)
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return {}, [Fault("ERR-CFG-009", f"cannot be read: {reason}", str(file))]
    values, faults = parse_dotenv(text, str(file))
    return {name: environ.get(name, value) for name, value in values.items()}, faults


def _read_text(file: Path) -> str:
    """Read a text file. Raises `OSError`, or `ValueError` for what is no text or far too long."""
    with file.open("rb") as stream:
        content = stream.read(_SIZE_MAX_BYTES + 1)
    if len(content) > _SIZE_MAX_BYTES:
        raise ValueError(f"it is longer than {_SIZE_MAX_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"it is not UTF-8 in line {line}") from None


def _merge_layers(
    document: Document,
    config_path: Path,
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
    supply: Supply | None,
) -> tuple[Layer, list[Finding], list[Finding]]:
    """Lay the layers over each other, make paths absolute, and fetch secrets from their files.

    Returns what came of it, what is wrong, and what is doubtful.
    """
    layer, found = file_layer(document, str(config_path), environ, dotenv)
    layer = merge(variable_layer(("identity_id",), "JOB_ITEM_IDENTITY_ID", environ, dotenv), layer)
    layer = merge(layer, variable_layer(("log", "level"), "LOG_LEVEL", environ, dotenv))
    layer = merge(layer, variable_layer(("identity_id",), "WORKER_ID", environ, dotenv))
    layer = merge(layer, variable_layer(("handlers",), "JOB_ITEM_HANDLERS", environ, dotenv))
    layer, unreadable = reefvars.lay(layer, document, environ, dotenv)
    found += unreadable
    doubts: list[Finding] = []
    if layer.get(("end_point",)):
        faults, doubts = overlay(layer, supply, config_path.parent)
        found += faults
    make_absolute(layer, config_path.parent)
    return layer, [*found, *read_secret_files(layer), *find_tls_files(layer, config_path.parent)], doubts


def _duplicates(tree: Mapping[str, Tree], section: str, keys: tuple[str, ...], code: str) -> Iterator[Finding]:
    """Entries of a list whose name (the first of `keys` that they have) an earlier entry has too."""
    entries = tree.get(section)
    first: dict[str, int] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        key = next((key for key in keys if isinstance(entry, dict) and entry.get(key)), None)
        name = entry[key] if key is not None and isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        if name in first:
            yield Finding((section, index, str(key)), code, f"'{name}' is used by {section}[{first[name]}] already")
        first.setdefault(name, index)


def _fault(finding: Finding, places: Mapping[KeyPath, Place], layer: Layer, config_path: Path) -> Fault:
    """Say where something wrong stands: in the file, in the environment, or in the answer of the Job Manager."""
    origin = layer.origins.get(finding.path, "") or layer.origins.get(finding.path[:1], "")
    path = dotted(finding.path) or None
    if origin.startswith((*OF_VARIABLES, ORIGIN)):
        return Fault(finding.code, finding.message, origin, None, path, finding.remedy)
    variable = reefvars.variable_of(finding.path)
    if variable is not None and (reefvars.SECTION,) not in places:
        remedy = finding.remedy or (f"Set {variable}." if finding.code == "ERR-CFG-006" else None)
        return Fault(finding.code, finding.message, f"environment {variable}", None, path, remedy)
    place = nearest(places, finding.path)
    return Fault(finding.code, finding.message, str(config_path), place.line if place else None, path, finding.remedy)


def _sorted(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """All faults once, by file and line."""
    return tuple(
        sorted(dict.fromkeys(faults), key=lambda fault: (fault.file or "", fault.line or 0, fault.column or 0))
    )


def _warnings(layer: Layer, places: Mapping[KeyPath, Place], config_path: Path) -> Iterator[Fault]:
    """Files with secrets that other users of the machine may read (promises, "secure credential storage")."""
    for key, file in exposed(layer, config_path):
        place = nearest(places, key) if file == config_path else None
        message = f"other users of this machine may read {file}"
        remedy = f"chmod o-r {file}"
        yield Fault("ERR-CFG-024", message, str(file), place.line if place else None, dotted(key), remedy, warning=True)


def _layers_of(settings: Settings, layer: Layer) -> dict[str, str]:
    """The source of every setting, by its dotted path."""
    tree = settings.model_dump(mode="python", by_alias=True)
    return {dotted(key): _origin_of(layer, key) for key, _ in leaves(_plain(tree))}


def _origin_of(layer: Layer, key: KeyPath) -> str:
    """The source of a setting; a variable gives a list as a whole."""
    while key not in layer.origins and isinstance(key[-1], int):
        key = key[:-1]
    return layer.origins.get(key, "default")


def redacted(loaded: Loaded) -> dict[str, Any]:
    """All settings as plain data with the secrets masked; the folders are those in use."""
    tree = _plain(loaded.settings.model_dump(mode="python", by_alias=True))
    tree |= {"state_dir": str(loaded.state_dir), "work_dir": str(loaded.work_dir)}
    masked = Redactor(loaded.secrets).value(tree)
    return masked if isinstance(masked, dict) else {}


def _plain(value: Any) -> Any:
    """Make lists of tuples and text of secrets, so that only JSON types are left."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value
