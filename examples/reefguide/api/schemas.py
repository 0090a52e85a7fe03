"""The payload schemas of the job types (protocol reefguide.md, section 7): a few lines that judge as zod does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NUMBER, TEXT, BOOL = "number", "string", "boolean"

TYPES = ("TEST", "SUITABILITY_ASSESSMENT", "REGIONAL_ASSESSMENT", "DATA_SPECIFICATION_UPDATE", "ADRIA_MODEL_RUN")
STATUSES = ("PENDING", "IN_PROGRESS", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT")
EXPIRY_MIN = {"ADRIA_MODEL_RUN": 240}


@dataclass(frozen=True)
class Shape:
    """An object: its members by kind (a type word, a tuple of texts, a `Shape`), and which of them may be absent."""

    members: Mapping[str, Any]
    optional: frozenset[str] = frozenset()
    is_strict: bool = True
    of_each: Any = None
    """The kind of every member, where their names are free."""

    def takes(self, value: Any) -> bool:
        """Whether a value has this shape; null is not the same as absent."""
        if not isinstance(value, dict):
            return False
        if self.of_each is not None:
            return all(fits(self.of_each, member) for member in value.values())
        if self.is_strict and value.keys() - self.members.keys():
            return False
        if self.members.keys() - self.optional - value.keys():
            return False
        return all(fits(kind, value[name]) for name, kind in self.members.items() if name in value)


def fits(kind: Any, value: Any) -> bool:
    """Whether a value is of a kind."""
    match kind:
        case Shape():
            return kind.takes(value)
        case [Shape() as each]:
            return isinstance(value, list) and all(each.takes(item) for item in value)
        case tuple():
            return value in kind
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case _:
            raise AssertionError(kind)


_RANGES = {
    f"{name}_{end}": NUMBER
    for name in (
        "depth",
        "low_tide",
        "high_tide",
        "slope",
        "rugosity",
        "turbidity",
        "waves_period",
        "waves_height",
    )
    for end in ("min", "max")
}
_SHARED = {"region": TEXT, "reef_type": TEXT, **_RANGES}
_CHART = Shape(
    {"metric_name": TEXT, "filename": TEXT, "y_label": TEXT, "description": TEXT, "generation_time_seconds": NUMBER}
)
_PARAMETER = Shape(
    {"param_name": TEXT, "third_param_flag": BOOL, "lower": NUMBER, "upper": NUMBER, "optional_third": NUMBER},
    optional=frozenset({"optional_third"}),
    is_strict=False,
)

INPUTS: Mapping[str, Shape] = {
    "TEST": Shape({"id": NUMBER}),
    "REGIONAL_ASSESSMENT": Shape({**_SHARED, "cogColor": ("greyscale",)}, optional=frozenset({*_RANGES, "cogColor"})),
    "SUITABILITY_ASSESSMENT": Shape(
        {**_SHARED, "x_dist": NUMBER, "y_dist": NUMBER, "threshold": NUMBER},
        optional=frozenset({*_RANGES, "threshold"}),
    ),
    "DATA_SPECIFICATION_UPDATE": Shape({"cache_buster": NUMBER}, optional=frozenset({"cache_buster"}), is_strict=False),
    "ADRIA_MODEL_RUN": Shape(
        {
            "data_package": ("MOORE", "GBR"),
            "num_scenarios": NUMBER,
            "model_params": [_PARAMETER],
            "rcp_scenario": ("26", "45", "60", "85"),
        },
        optional=frozenset({"rcp_scenario"}),
    ),
}

RESULTS: Mapping[str, Shape] = {
    "TEST": Shape({}),
    "REGIONAL_ASSESSMENT": Shape({"cog_path": TEXT}),
    "SUITABILITY_ASSESSMENT": Shape({"geojson_path": TEXT}),
    "DATA_SPECIFICATION_UPDATE": Shape({}),
    "ADRIA_MODEL_RUN": Shape(
        {
            "spatial_metrics_path": TEXT,
            "reef_boundaries_path": TEXT,
            "output_result_set_path": TEXT,
            "available_charts": Shape({}, of_each=TEXT),
            "chart_metadata": Shape({}, of_each=_CHART),
        }
    ),
}
