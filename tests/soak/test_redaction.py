"""Secrets made by chance, in every encoding, across every border at which a line is cut: none may be seen."""

from __future__ import annotations

import base64
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import quote, quote_plus

import pytest

from job_item.logline import json_line, text_line
from job_item.logsink import Finish
from job_item.redact import SECRET_MIN_LENGTH, Redactor

SECRETS = {"quick": 1_000, "night": 50_000}
TOGETHER = 10
"""So many secrets one node has."""
LIMIT_BYTES = 4096
BORDERS = (0, 64 // 2, LIMIT_BYTES // 12 // 2, LIMIT_BYTES // 3 // 2, LIMIT_BYTES)
"""Where a value may be cut (`job_item.logline.fit`)."""
FAR_BORDER, FAR_ONCE_IN = 1 << 16, 200
"""Where streams are read in pieces."""
ALPHABETS = (
    string.ascii_letters + string.digits,
    string.hexdigits,
    string.ascii_letters + string.digits + "-_.~",
    string.ascii_letters + string.digits + "+/=",
    string.punctuation + string.ascii_lowercase,
    "\"'\\ \t&%$#@:/?=;<>{}()" + string.digits,
    "äöüßéñ☃漢字🙂" + string.ascii_letters,
)
ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: repr(secret)[1:-1],
    quote,
    lambda secret: quote(secret, safe=""),
    quote_plus,
    lambda secret: re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
    lambda secret: secret.encode().hex(),
    lambda secret: secret.encode().hex().upper(),
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    lambda secret: base64.b64encode(b"x" + secret.encode() + b"yz").decode(),
    lambda secret: base64.b64encode(b"xy" + secret.encode()).decode(),
    lambda secret: base64.b64encode(b"user:" + secret.encode()).decode(),
)
IN_BASE64 = len(ENCODINGS) - 3
"""From here on a secret stands inside of something longer: what shows of it by itself is looked for."""


def secrets(chance: random.Random, number: int) -> Iterator[str]:
    for _ in range(number):
        alphabet = chance.choice(ALPHABETS)
        length = chance.choice((8, 12, 16, 24, 32, 40, 64))
        yield "".join(chance.choice(alphabet) for _ in range(length))


def needles(secret: str, number: int) -> tuple[str, ...]:
    """What would show the secret: its encoded form, and each half of it where that says enough."""
    if number >= IN_BASE64:
        inner = base64.b64encode(secret.encode()).decode().rstrip("=")
        middle = ENCODINGS[number](secret)[10:-8]
        return tuple(part for part in (inner, middle) if len(part) >= 2 * SECRET_MIN_LENGTH)
    form = ENCODINGS[number](secret)
    half = len(form) // 2
    parts = (form, form[:half], form[half:])
    return tuple(part for part in parts if len(part) >= 8 and len(set(part)) > 3)


def line_of(finish: Finish, form: str, filler: int, key: str) -> str:
    """A log line with a form of a secret behind so many characters, under a key or in the name of one."""
    text = "." * filler + form + "." * (filler // 2)
    value: object = {"nested": [text, {form: 1}]} if key == "nested" else text
    return finish(None, "error", {"room": "supervisor", "event": "settings.rejected", key: value}).decode()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_secret_passes_the_log_in_any_encoding_at_any_border(tier: Literal["quick", "night"]) -> None:
    chance = random.Random(20260101)
    leaks: list[str] = []
    wanted = SECRETS[tier]
    for _ in range(wanted // TOGETHER):
        of_node = list(secrets(chance, TOGETHER))
        redactor = Redactor(of_node)
        finishes = [Finish(render, redactor, LIMIT_BYTES) for render in (json_line, text_line)]
        for secret in of_node:
            number = chance.randrange(len(ENCODINGS))
            for encoding in {number, (number + 5) % len(ENCODINGS), (number + 10) % len(ENCODINGS)}:
                form = ENCODINGS[encoding](secret)
                border = chance.choice(BORDERS) if chance.randrange(FAR_ONCE_IN) else FAR_BORDER
                filler = max(0, border - chance.randrange(len(form) + 1))
                line = line_of(chance.choice(finishes), form, filler, chance.choice(("reason", "nested", "text")))
                shown = [needle for needle in needles(secret, encoding) if needle in line]
                leaks += [f"{secret!r} as {encoding} behind {filler}: {shown}"] if shown else []
    assert leaks == []
