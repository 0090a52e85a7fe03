"""The variables of the ReefGuide workers, as a layer of settings (protocol reefguide.md, section 2).

They alone are enough: with `API_ENDPOINT` no file is needed, and one that CONFIG_PATH names for another worker is no
hindrance. Where there is a section `reefguide` too, a variable wins over the key that it stands for. An empty variable
is as good as none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from job_item.findings import Finding, names
from job_item.layers import Layer, merge, variable_layer
from job_item.nodespec import Limits
from job_item.quantity import shown
from job_item.settings import Settings
from job_item.yamlfile import Document, KeyPath

SECTION = "reefguide"
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "API_ENDPOINT": "api_endpoint",
        "JOB_TYPES": "job_types",
        "WORKER_USERNAME": "username",
        "WORKER_PASSWORD": "password",
        "WORKER_PASSWORD_FILE": "password_file",
        "DATA_PATH": "data_path",
        "CACHE_PATH": "cache_path",
        "AWS_REGION": "aws_region",
        "S3_ENDPOINT": "s3_endpoint",
        "POLL_INTERVAL_MS": "poll_interval",
        "IDLE_TIMEOUT_MS": "idle_timeout",
        "MAX_CONCURRENT_JOBS": "max_concurrent_jobs",
        "SENTRY_DSN": "sentry_dsn",
    }
)
"""Each variable with the key of the section that it stands for."""
SECRETS = frozenset({"WORKER_PASSWORD", "SENTRY_DSN"})
"""What no job gets to see, also where it stands in `.env`."""
STORAGE = ("AWS_*", "MINIO_USERNAME", "MINIO_PASSWORD")
"""What jobs need for the storage that their results go to: passed on to them unless `pass_env` says what is."""
ECS_METADATA = "ECS_CONTAINER_METADATA_URI_V4"
ECS_DRAIN_GRACE_S = 20
"""ECS kills 30 s after SIGTERM; what does not end by itself has to be ended, and said to have failed, before that."""

_SWITCH = "API_ENDPOINT"
_NEEDED = (_SWITCH, "JOB_TYPES", "WORKER_USERNAME", "WORKER_PASSWORD")
_VARIABLE_OF = {key: name for name, key in VARIABLES.items()}
_PATHS = ("data_path", "cache_path", "password_file")
_QUOTED = re.compile(r"""(['"])(.+)\1""")
_OUR_KEY = re.compile(rf"^({'|'.join(map(re.escape, names(Settings)))})\s*:", re.MULTILINE)


def is_switched_on(environ: Mapping[str, str]) -> bool:
    """Whether these variables make a node poll the API."""
    return bool(environ.get(_SWITCH))


def is_meant(environ: Mapping[str, str]) -> bool:
    """Whether somebody meant to configure a node by these variables, even if one is missing."""
    return any(environ.get(name) for name in _NEEDED)


def is_ours(text: str) -> bool:
    """Whether a text is one of our configurations, a broken one too: empty, or with one of our keys at its top."""
    return not text.strip() or _OUR_KEY.search(text) is not None


def lay(
    layer: Layer, document: Document, environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> tuple[Layer, list[Finding]]:
    """Lay the variables over `layer`, where the node is to poll the API at all; findings are what cannot be read."""
    both = {**dotenv, **environ}
    is_asked_for = is_switched_on(both) or (not document.tree and is_meant(both))
    if SECTION not in layer.tree and not is_asked_for:
        return layer, []
    found: list[Finding] = []
    if not isinstance(layer.tree.get(SECTION), dict):
        layer = merge(layer, Layer({SECTION: {}}))
    for name, key in VARIABLES.items():
        over = variable_layer((SECTION, key), name, environ, dotenv)
        if name.endswith("_MS") and over.tree:
            found += _read_milliseconds(over, (SECTION, key), name)
        if key in _PATHS and over.tree:
            over.put((SECTION, key), _unquoted(str(over.get((SECTION, key)))))
        layer = merge(layer, over)
    if "pass_env" not in layer.tree:
        layer = merge(Layer({"pass_env": list(STORAGE)}, {("pass_env",): f"section {SECTION}"}), layer)
    slots = str(layer.get((SECTION, "max_concurrent_jobs")))
    if slots.isdecimal() and int(slots) > Limits().concurrency:  # a task of one processor may be told to run eight
        layer = merge(Layer({"limits": {"concurrency": slots}}), layer)
    if environ.get(ECS_METADATA) and "drain_grace" not in layer.tree:
        layer = merge(
            Layer({"drain_grace": str(ECS_DRAIN_GRACE_S)}, {("drain_grace",): f"environment {ECS_METADATA}"}), layer
        )
    return layer, found


def _read_milliseconds(over: Layer, path: KeyPath, name: str) -> Iterable[Finding]:
    """Make seconds of a number of milliseconds, in place; 0 and less are 0."""
    text = str(over.get(path)).strip()
    if re.fullmatch(r"[-+]?\d{1,15}", text):
        over.put(path, f"{max(int(text), 0)}ms")
        return ()
    over.put(path, "1s")  # a value that is refused once, here
    return (Finding(path, "ERR-CFG-005", f"{name} wants a whole number of milliseconds, not {shown(text)}"),)


def _unquoted(text: str) -> str:
    """A path without the quotes around it, which `docker run --env-file` leaves."""
    found = _QUOTED.fullmatch(text.strip())
    return found[2] if found else text


def variable_of(path: KeyPath) -> str | None:
    """The variable that stands for the setting at `path`, if there is one."""
    return _VARIABLE_OF.get(str(path[1])) if len(path) > 1 and path[0] == SECTION else None
