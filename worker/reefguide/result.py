"""What is posted for a job that has ended: the one place that makes a result of it (protocol reefguide.md, 5.3 and 7).

A command says its result with the last thing that it writes to standard output: a JSON object. It has to fit what the
API takes for the type, which is checked here before anything is posted, as a payload that does not fit is refused and
the job would stay IN_PROGRESS. A failure carries null: the API has no place for a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from job_item.job import Status

LIMIT_BYTES = 102_400
"""What the API takes of a body (section 4)."""
_ZERO_BYTE = re.compile(r"(?<!\\)(\\\\)*\\u0000")
"""In JSON; PostgreSQL, where the API keeps results, has no room for it and answers 500 for ever."""
LINES_MAX = 500
"""How far up the last object of an output may begin."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(_Strict):
    """TEST and DATA_SPECIFICATION_UPDATE."""


class RegionalAssessment(_Strict):
    """REGIONAL_ASSESSMENT; paths are relative to the storage URI here and below."""

    cog_path: str


class SuitabilityAssessment(_Strict):
    """SUITABILITY_ASSESSMENT."""

    geojson_path: str


class Chart(BaseModel):
    """One chart of ADRIA_MODEL_RUN."""

    model_config = ConfigDict(strict=True)

    metric_name: str
    filename: str
    y_label: str
    description: str
    generation_time_seconds: float


class AdriaModelRun(_Strict):
    """ADRIA_MODEL_RUN."""

    spatial_metrics_path: str
    reef_boundaries_path: str
    output_result_set_path: str
    available_charts: dict[str, str]
    chart_metadata: dict[str, Chart]


RESULTS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "TEST": Nothing,
        "REGIONAL_ASSESSMENT": RegionalAssessment,
        "SUITABILITY_ASSESSMENT": SuitabilityAssessment,
        "DATA_SPECIFICATION_UPDATE": Nothing,
        "ADRIA_MODEL_RUN": AdriaModelRun,
    }
)
"""What the API takes as the result of each type, no more and no less."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The body that is to be posted; `problem` says why a job that finished is reported as failed."""

    body: bytes
    problem: str | None = None


FAILED = b'{"status":"FAILED","resultPayload":null}'


def result_of(job_type: str, status: Status, read_output: Callable[[], bytes]) -> Conclusion:
    """The result of a job of `job_type` that has ended with `status`; `read_output` gives the end of its output.

    A typed handler's output is JSON already and comes the same way: as the bytes of one object.
    """
    if status is not Status.FINISH:
        return Conclusion(FAILED)
    model = RESULTS.get(job_type)
    if model is None:
        return Conclusion(FAILED, f"no result is known for the type {job_type}")
    if model is Nothing:
        return Conclusion(_succeeded({}))
    found = last_object(read_output().decode(errors="replace"))
    if found is None:
        return Conclusion(FAILED, "the output does not end with a JSON object")
    try:
        plain = json.dumps(found, allow_nan=False)
    except ValueError:
        return Conclusion(FAILED, "the result has a number that JSON does not know")
    if _ZERO_BYTE.search(plain):
        return Conclusion(FAILED, "the result has a text with a zero byte, which the API cannot keep")
    try:
        model.model_validate_json(plain)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        return Conclusion(FAILED, f"the result does not fit {job_type}: {wrong}")
    body = _succeeded(found)
    if len(body) > LIMIT_BYTES:
        return Conclusion(FAILED, f"the result has {len(body)} bytes, and the API takes {LIMIT_BYTES}")
    return Conclusion(body)


def last_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text ends with: its last line, or its last lines from one that begins with a brace."""
    text = text.rstrip()
    if not text.endswith("}"):
        return None
    lines = text.split("\n")[-LINES_MAX:]
    for place in range(len(lines) - 1, -1, -1):
        if not lines[place].startswith("{") and place < len(lines) - 1:
            continue
        try:
            found = json.loads("\n".join(lines[place:]))
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def _succeeded(result: dict[str, Any]) -> bytes:
    members = {"status": "SUCCEEDED", "resultPayload": result}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()
