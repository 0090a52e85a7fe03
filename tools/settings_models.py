"""Read the models of the settings: what each setting is called, is, may be, is left out as, and means.

The meaning is the text that stands below a setting in its model. A last sentence `Default: ...` there says what is
taken where the model itself has no value to show.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from job_item import connections, execspec, kinds, probespec, quantity, reefspec
from job_item.reefvars import VARIABLES

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "identity_id": ("WORKER_ID", "JOB_ITEM_IDENTITY_ID"),
    "handlers": ("JOB_ITEM_HANDLERS",),
    "log.level": ("LOG_LEVEL",),
    "state_dir": ("STATE_DIRECTORY",),
    **{f"reefguide.{key}": (name,) for name, key in VARIABLES.items()},
}
"""The environment variables that say the same as a setting."""

WRITTEN: Mapping[Any, str] = {
    quantity.seconds: "duration",
    quantity.size_bytes: "size",
    kinds._command: "text or list of texts",
    kinds._maybe_command: "text or list of texts",
    kinds._sources: "list of texts, or text with commas",
    connections._servers: "list of texts, or text with commas",
    reefspec._job_types: "list of texts, or text with commas",
    connections.is_secure: "yes or no",
    execspec._stop_signal: "name or number",
    execspec._conditions: "list of texts, or mapping",
    probespec._tcp: "text or number",
}
"""What a setting may be written as, by the function that reads it; for all others its type says it."""

PLAIN: Mapping[Any, str] = {
    str: "text",
    SecretStr: "secret text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    object: "anything",
}


@dataclass(frozen=True)
class Setting:
    """One setting. `path` is dotted; `below` the models of what is within it, by the value of their `type` if any."""

    path: str
    kind: str
    bounds: tuple[str, ...]
    choices: tuple[str, ...]
    default: Any
    is_required: bool
    said_default: str
    text: str
    below: tuple[type[BaseModel], ...] = ()
    is_list: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that say the same."""
        return ENVIRONMENT.get(self.path, ())


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """The settings of one section, in their order, without what is within them."""
    texts = texts_of(model)
    for name, field in model.model_fields.items():
        yield _setting(prefix + (field.alias or name), field, texts.get(name, ""))


@cache
def texts_of(model: type[BaseModel]) -> Mapping[str, str]:
    """The text below each setting of a model and of those it comes from, on one line."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if not issubclass(one, BaseModel) or one is BaseModel:
            continue
        lines = ast.parse(inspect.getsource(one)).body[0].body  # type: ignore[attr-defined]  # the source of a class
        for here, below in pairwise(lines):
            match here, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found


def _setting(path: str, field: FieldInfo, text: str) -> Setting:
    annotation, metadata = _unfold(field.annotation, list(field.metadata))
    kind, choices, below = _kind(annotation, metadata)
    meaning, _, said = text.partition(" Default: ")
    return Setting(
        path=path,
        kind=kind,
        bounds=tuple(_bounds(metadata)),
        choices=choices,
        default=field.get_default(call_default_factory=False),
        is_required=field.default is PydanticUndefined and field.default_factory is None,
        said_default=said.removesuffix("."),
        text=meaning,
        below=below,
        is_list=get_origin(annotation) is tuple and bool(below),
    )


def _unfold(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """The type itself, and all that is said of it: `X | None` is X, `Annotated[X, ...]` is X."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        elif get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
            rest = [one for one in get_args(annotation) if one is not type(None)]
            annotation = Union[tuple(rest)]  # noqa: UP007 - of a list
        else:
            return annotation, metadata


def _kind(annotation: Any, metadata: list[Any]) -> tuple[str, tuple[str, ...], tuple[type[BaseModel], ...]]:
    for one in metadata:
        written = WRITTEN.get(getattr(one, "func", None))
        if written is not None:
            return written, (), ()
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "one of", tuple(map(str, inner)), ()
    if get_origin(annotation) is tuple:
        kind, choices, below = _kind(*_unfold(inner[0], []))
        return ("list of sections" if below else f"list of {kind}s" if not choices else "list of"), choices, below
    if get_origin(annotation) in (Union, types.UnionType):
        return "section", (), inner
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section", (), (annotation,)
    if get_origin(annotation) is not None:
        return "mapping of texts", (), ()
    return PLAIN[annotation], (), ()


def _bounds(metadata: list[Any]) -> Iterator[str]:
    signs = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le"), Lt: ("<", "lt")}
    for one in metadata:
        for each in getattr(one, "metadata", (one,)):
            if type(each) in signs:
                sign, name = signs[type(each)]
                yield f"{sign} {getattr(each, name)}"
