"""Kinds of single settings: what a command, an event, an identity or an environment may be.

The messages are for people who wrote the file; the codes are of the register.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from job_item.quantity import Unfit, seconds, shown, size_bytes

_EVENT = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


WITHOUT_IT = "Remove the character; a file can hold what a program is to read byte for byte."


def blemish(text: str) -> str | None:
    """Say what keeps a text from being handed to a program: it must have a form in UTF-8 and end where it ends."""
    if "\0" in text:
        return "a NUL cannot be in it, as a NUL ends what a program is given"
    half = _SURROGATE.search(text)
    return f"U+{ord(half[0]):04X} cannot be in it, as it is half a character" if half else None


def passable(text: str) -> str:
    """Take a text that can be handed to a program. Raises `Unfit`."""
    if found := blemish(text):
        raise Unfit("ERR-CFG-007", found, WITHOUT_IT)
    return text


def _command(value: object) -> str | tuple[str, ...]:
    """Take a command: shell text, or the words of a command that needs no shell."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(word, str) for word in value):
        if not value[0]:
            raise Unfit("ERR-CFG-007", "the first word is the program and must not be empty")
        return tuple(passable(word) for word in value)
    if not isinstance(value, str):
        raise Unfit("ERR-CFG-005", f"wants a text or a list of texts, not {_what_is_wrong(value)}")
    if not value.strip():
        raise Unfit("ERR-CFG-007", "must not be empty")
    return passable(value)


def _maybe_command(value: object) -> str | tuple[str, ...] | None:
    """Take a command, or none."""
    return None if value is None else _command(value)


def _handler(value: str) -> str:
    """Take the name of a handler: the type it is marked with, or `module:function`."""
    module, colon, function = value.partition(":")
    if colon and _DOTTED.fullmatch(module) and not module.endswith(".py") and _DOTTED.fullmatch(function):
        return value
    if colon:
        raise Unfit("ERR-CFG-007", f"wants `module:function` or the type of a handler, not {shown(value)}")
    return _event(value)


def _sources(value: object) -> object:
    """Take modules and files: a list, or a text with commas as it stands in a variable."""
    if isinstance(value, str):
        return tuple(part for part in map(str.strip, value.split(",")) if part)
    return value


def _source(value: str) -> str:
    """Take a module or a file."""
    if not _DOTTED.fullmatch(value) and not value.endswith(".py"):
        raise Unfit("ERR-CFG-007", f"wants the name of a module or a file that ends with .py, not {shown(value)}")
    return passable(value)


def _what_is_wrong(value: object) -> str:
    """Name what keeps a value from being a command."""
    if isinstance(value, (list, tuple)):
        odd = [shown(word) for word in value if not isinstance(word, str)]
        return f"a list with {odd[0]} in it" if odd else "an empty list"
    return shown(value)


def _event(value: str) -> str:
    """Take an event name: words joined by dots, as it is part of subjects (protocol job-item.md, section 3.1)."""
    if len(passable(value)) > 128 or not _EVENT.fullmatch(value):
        raise Unfit("ERR-CFG-013", f"{shown(value)} cannot be an event name")
    return value


def _identity(value: str) -> str:
    """Take an identity: it is part of the subject `<identity>.shutdown` (protocol job-item.md, section 3.1)."""
    if len(value) > 128 or not _IDENTITY.fullmatch(value):
        raise Unfit("ERR-CFG-015", f"{shown(value)} cannot be an identity")
    return value


def _shell(value: str) -> str:
    """Take the name or path of a shell."""
    if not value or any(sign.isspace() or sign == "\0" for sign in value):
        raise Unfit("ERR-CFG-007", f"wants the name or path of a shell, not {shown(value)}")
    return value


def _variable(name: str) -> str:
    """Take the name of an environment variable."""
    if not _VARIABLE.fullmatch(name):
        raise Unfit("ERR-CFG-007", f"{shown(name)} cannot be the name of an environment variable")
    return name


def _variable_value(value: object) -> object:
    """Take the value of an environment variable; no value is the empty one."""
    return "" if value is None else passable(value) if isinstance(value, str) else value


def level_of(value: object) -> object:
    """Take a log level in any case, and WARN for WARNING (promises, "LOG_LEVEL")."""
    text = value.upper() if isinstance(value, str) else value
    return "WARNING" if text == "WARN" else text


Seconds = Annotated[float, BeforeValidator(seconds)]
Bytes = Annotated[int, BeforeValidator(size_bytes)]
Command = Annotated[str | tuple[str, ...], BeforeValidator(_command)]
MaybeCommand = Annotated[str | tuple[str, ...] | None, BeforeValidator(_maybe_command)]
Handler = Annotated[str, AfterValidator(_handler)]
Sources = Annotated[tuple[Annotated[str, AfterValidator(_source)], ...], BeforeValidator(_sources)]
Event = Annotated[str, AfterValidator(_event)]
Identity = Annotated[str, AfterValidator(_identity)]
Passable = Annotated[str, AfterValidator(passable)]
Shell = Annotated[str, AfterValidator(_shell)]
Environment = dict[Annotated[str, AfterValidator(_variable)], Annotated[str, BeforeValidator(_variable_value)]]
