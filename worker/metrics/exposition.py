"""The text format of Prometheus, version 0.0.4: families of samples, written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from worker.metrics.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]

_IN_LABEL = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_IN_HELP = str.maketrans({"\\": "\\\\", "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples. A family without samples is announced all the same, so that it is known."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    samples: Iterable[tuple[Labels, float]] = ()
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    """Of a histogram: by event."""


def write(families: Iterable[Family]) -> str:
    """Write families as text."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.about.translate(_IN_HELP)}\n# TYPE {family.name} {family.kind}\n"
    for labels, value in family.samples:
        yield f"{family.name}{_labels(labels)} {_number(value)}\n"
    for event, histogram in family.histograms.items():
        count = 0
        for bound, count in histogram.buckets():
            yield f"{family.name}_bucket{_labels({'event': event, 'le': bound})} {count}\n"
        yield f"{family.name}_sum{_labels({'event': event})} {_number(histogram.sum)}\n"
        yield f"{family.name}_count{_labels({'event': event})} {count}\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_IN_LABEL)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
