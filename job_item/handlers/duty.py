"""From a function with type hints to a duty: how its input is read, how it is called, how its output is written."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from job_item.errors import NodeError
from job_item.handlers.context import HandlerContext


@dataclass(frozen=True, slots=True)
class Duty:
    """A handler, ready for jobs. `call` takes the checked input and the context."""

    place: str
    """`module:function`, for people."""
    input: TypeAdapter[Any]
    output: TypeAdapter[Any]
    call: Callable[[Any, HandlerContext], Any]


def make_duty(target: Any) -> Duty:
    """Make a duty of a function, or of a class with a method `run`.

    Raises `NodeError`: ERR-HND-003 (a hint is missing or cannot be read), ERR-HND-005 (pydantic cannot check such a
    type), ERR-HND-007 (it cannot be called as a handler is).
    """
    place = place_of(target)
    made = cache(target) if inspect.isclass(target) else None
    function = getattr(target, "run", None) if made else target
    if not callable(function):
        what = "is a class without a method `run`" if made else "is no function or class"
        raise NodeError("ERR-HND-007", f"{place} {what}.")
    parameters = list(inspect.signature(function).parameters.values())[1 if made else 0 :]
    hints = _hints(function, place)
    given, context = _roles(parameters, hints, place)
    if "return" not in hints:
        raise NodeError("ERR-HND-003", f"{place} does not say what it returns.", "Write `-> Model`, or `-> None`.")
    call = partial(_call, made, function, given, context)
    return Duty(place, _adapter(hints[given], place), _adapter(hints["return"], place), call)


def place_of(target: Any) -> str:
    """Name a function or class for people: `module:function`."""
    name = getattr(target, "__qualname__", type(target).__qualname__)
    return f"{getattr(target, '__module__', '?')}:{name}"


def _call(
    made: Callable[[], Any] | None,
    function: Callable[..., Any],
    given: str,
    context_name: str | None,
    value: Any,
    context: HandlerContext,
) -> Any:
    """Call the function, a method on the one object of its class; one that is `async` is run to its end."""
    bound = function if made is None else getattr(made(), function.__name__)
    arguments = {given: value} if context_name is None else {given: value, context_name: context}
    result = bound(**arguments)
    return asyncio.run(_ended(result)) if inspect.isawaitable(result) else result


async def _ended(result: Any) -> Any:
    return await result


def _hints(function: Any, place: str) -> Mapping[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise NodeError("ERR-HND-003", f"A type hint of {place} cannot be read: {error}.") from error


def _roles(parameters: list[inspect.Parameter], hints: Mapping[str, Any], place: str) -> tuple[str, str | None]:
    """Which parameter takes the input, and which the context."""
    given: str | None = None
    context: str | None = None
    for parameter in parameters:
        is_wanted = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if hints.get(parameter.name) is HandlerContext and context is None:
            context = parameter.name
        elif given is None and parameter.kind is not parameter.POSITIONAL_ONLY and is_wanted:
            if parameter.name not in hints:
                raise NodeError("ERR-HND-003", f"The parameter `{parameter.name}` of {place} has no type hint.")
            given = parameter.name
        elif is_wanted:
            raise NodeError("ERR-HND-007", f"{place} wants `{parameter.name}`, which no handler is given.")
    if given is None:
        raise NodeError("ERR-HND-007", f"{place} has no parameter for the input.")
    return given, context


def _adapter(hint: Any, place: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        reason = str(error).partition("\n")[0]
        raise NodeError("ERR-HND-005", f"A type of {place} cannot be checked: {reason}") from error
